package host

// Report is what a machine can do for builds.
type Report struct {
	Builds   bool    `json:"builds"` // Dockerfiles can be built here
	StateDir string  `json:"stateDir"`
	Checks   []Check `json:"checks"`
}

// Check is one thing that builds use.
type Check struct {
	Name    string `json:"name"`
	Status  Status `json:"status"`
	Found   string `json:"found,omitempty"`
	Affects string `json:"affects,omitempty"` // what does not work, or not as well
	Fix     string `json:"fix,omitempty"`     // why, and what to do about it
}

// Status says how good a thing is.
type Status string

const (
	OK      Status = "ok"
	Limited Status = "limited" // builds work, something else does not
	Missing Status = "missing" // builds do not work
)
