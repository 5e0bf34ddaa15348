// Prints, for each asset, a line of JSON: its name and language, and the
// SHA-256 of its text in UTF-8, read through the SDK in each way there is.

import { createHash } from 'node:crypto';
import { assets, snapshot, texts } from './client.mjs';

const ids = (await assets.assetsIdentifiersSnapshot()).iterable.map((a) => a.id);
const lines = [];
await Promise.all(Array.from({ length: 8 }, async () => {
  for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
    const a = await snapshot(id);
    const [text, ...copies] = texts(a);
    if (copies.some((copy) => copy !== text)) throw new Error(`the texts of ${id} differ`);
    lines.push(JSON.stringify({
      id, name: a.name, language: a.original.reference.classification.specific,
      sha256: createHash('sha256').update(text, 'utf8').digest('hex'),
    }));
  }
}));
process.stdout.write(lines.map((line) => `${line}\n`).join(''));
