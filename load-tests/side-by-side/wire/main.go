// Command wire is both ends of the side-by-side comparison: fast fake engines that check what routers send them, and a load generator that
// checks what routers answer.
//
// Each is one thread around epoll: what they cost themselves has to be small beside a router, and it is printed with every result.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	// Everything lasting is allocated at the start; what is left is a few words per request.
	debug.SetGCPercent(800)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "engine":
			runEngine(os.Args[2:])
			return
		case "load":
			runLoad(os.Args[2:])
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: wire engine|load [flags]; -h after either shows its flags")
	os.Exit(2)
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "wire: "+format+"\n", arguments...)
	os.Exit(1)
}
