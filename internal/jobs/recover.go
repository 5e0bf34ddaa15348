package jobs

import (
	"context"
	"slices"

	"cairn"
)

// Recover reads the history. A job in it that has not ended was cut off with
// the daemon that ran it: it is complete when it replaced the live database, or
// when the cloud has its backup, else it has failed. (A cloud that cannot be
// asked now is asked again when somebody wants to know.) Call it once, before
// the first job. Its errors are those of History.Jobs; without a history
// everything works.
func (j *Jobs) Recover(ctx context.Context) error {
	jobs, err := j.cfg.History.Jobs(ctx)
	if err != nil {
		return err
	}
	restored := j.cfg.Engine.Restored()
	var changed []string
	for i := range jobs {
		job := &jobs[i]
		swapped := job.Kind == cairn.Restoration && restored != "" && job.ID == restored
		if job.Status.Ended() && (!swapped || job.Status == cairn.JobCompleted) {
			continue
		}
		job.Ended = j.cfg.Now()
		committed := swapped
		if job.Kind == cairn.Creation && job.Backup.ID != "" {
			if backup, err := j.cfg.Engine.Backup(ctx, job.Backup.ID); err == nil {
				committed, job.Backup = true, backup
			}
		}
		job.Status, job.Reason = cairn.JobFailed, cutOff(job.Kind)
		if committed {
			job.Status, job.Reason = cairn.JobCompleted, nil
		}
		j.cfg.Log.Info("a job was cut off", "kind", job.Kind, "job", job.ID, "backup", job.Backup.ID, "status", job.Status)
		changed = append(changed, job.ID)
	}
	var dropped []string
	j.mu.Lock()
	for _, job := range slices.Backward(jobs) {
		dropped = append(dropped, j.remember(job)...)
	}
	j.mu.Unlock()
	for _, id := range changed {
		j.store(id)
	}
	j.forget(dropped...)
	return nil
}
