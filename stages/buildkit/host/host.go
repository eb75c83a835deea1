// Package host knows what this machine can do for builds, and starts the process
// that they run in, in namespaces of its own, so that whatever ends the run, its
// mounts and containers end with it, and so that a user without privileges is root
// among the files of a build. What is decided here is what `slipway host check`
// tells: the check is a worker process, too.
//
// It must never know what BuildKit is: a worker process is given a task by its
// name.
package host

// Program is an executable that calls Main, and has the tasks that it is started for.
// It calls start with a path of it, and again with another one if the first could not
// be started; the error is that of all. When the process has ended, done is called.
// Nil is this program, whose Main always has the tasks of this package.
type Program func(start func(path string) error) (done func(), err error)
