package main

import (
	"syscall"
	"time"
	"unsafe"
)

const (
	readable = syscall.EPOLLIN | syscall.EPOLLRDHUP
	// EPOLL_PWAIT2: timeouts in nanoseconds, so that tokens are not bunched to milliseconds. Linux 5.11.
	sysEpollPwait2 = 441
)

// poller waits for sockets. A socket's number is its key.
type poller struct {
	fd     int
	events [512]syscall.EpollEvent
}

func newPoller() *poller {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		fail("epoll: %v", err)
	}
	return &poller{fd: fd}
}

func (p *poller) add(fd int, events uint32) {
	event := syscall.EpollEvent{Events: events, Fd: int32(fd)}
	if err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
		fail("epoll add: %v", err)
	}
}

func (p *poller) change(fd int, events uint32) {
	event := syscall.EpollEvent{Events: events, Fd: int32(fd)}
	_ = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &event)
}

// wait returns what is ready; a negative duration waits for ever.
func (p *poller) wait(atMost time.Duration) []syscall.EpollEvent {
	var timeout *syscall.Timespec
	if atMost >= 0 {
		spec := syscall.NsecToTimespec(int64(atMost))
		timeout = &spec
	}
	n, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)),
		uintptr(unsafe.Pointer(timeout)), 0, 0)
	switch errno {
	case 0:
		return p.events[:n]
	case syscall.EINTR:
		return nil
	default:
		fail("epoll wait: %v", errno)
		return nil
	}
}

// outbox is what could not be written yet.
type outbox struct {
	rest    []byte
	waiting bool
}

// write sends bytes behind those that wait; false if the connection is gone.
func (o *outbox) write(p *poller, fd int, bytes []byte) bool {
	if len(o.rest) > 0 {
		o.rest = append(o.rest, bytes...)
		return true
	}
	n, err := syscall.Write(fd, bytes)
	if err == syscall.EAGAIN {
		n = 0
	} else if err != nil {
		return false
	}
	if n < len(bytes) {
		o.rest = append(o.rest[:0], bytes[n:]...)
		if !o.waiting {
			o.waiting = true
			p.change(fd, readable|syscall.EPOLLOUT)
		}
	}
	return true
}

// drain sends what waits once there is room again; false if the connection is gone.
func (o *outbox) drain(p *poller, fd int) bool {
	n, err := syscall.Write(fd, o.rest)
	if err == syscall.EAGAIN {
		return true
	}
	if err != nil {
		return false
	}
	o.rest = o.rest[:copy(o.rest, o.rest[n:])]
	if len(o.rest) == 0 && o.waiting {
		o.waiting = false
		p.change(fd, readable)
	}
	return true
}
