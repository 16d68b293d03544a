// A main package of its own, so that the tests' libcni is an ordinary module build.
module tortie.invalid/libcni

go 1.24.0

require github.com/containernetworking/cni v1.3.0
