package s3

// OpenWithStall is Open with another time for which a connection may stand still.
var OpenWithStall = open
