// An echo and a broadcast by sockjs-go, on a port that the first line tells.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/igm/sockjs-go/v3/sockjs"
)

func main() {
	options := sockjs.DefaultOptions
	options.RawWebsocket = true
	options.CheckOrigin = func(*http.Request) bool { return true }
	mux := http.NewServeMux()
	mux.Handle("/echo/", sockjs.NewHandler("/echo", options, echo))
	everybody := &audience{sessions: map[sockjs.Session]bool{}}
	mux.Handle("/broadcast/", sockjs.NewHandler("/broadcast", options, everybody.serve))
	// Asked before and after memory is measured.
	mux.HandleFunc("/collect", func(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() })

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}

func echo(session sockjs.Session) {
	for {
		message, err := session.Recv()
		if err != nil || session.Send(message) != nil {
			return
		}
	}
}

type audience struct {
	lock     sync.RWMutex
	sessions map[sockjs.Session]bool
}

func (a *audience) serve(session sockjs.Session) {
	a.lock.Lock()
	a.sessions[session] = true
	a.lock.Unlock()
	defer func() {
		a.lock.Lock()
		delete(a.sessions, session)
		a.lock.Unlock()
	}()
	for {
		message, err := session.Recv()
		if err != nil {
			return
		}
		a.lock.RLock()
		for other := range a.sessions {
			other.Send(message)
		}
		a.lock.RUnlock()
	}
}
