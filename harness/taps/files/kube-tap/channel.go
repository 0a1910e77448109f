package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// reply says how an order was carried out.
type reply struct {
	Say     string  `json:"say"` // listening, refused
	ID      int     `json:"id"`
	At      float64 `json:"at"`
	Address string  `json:"address,omitempty"`
	Why     string  `json:"why,omitempty"`
}

// question asks whether a call goes on.
type question struct {
	Say    string  `json:"say"` // question
	ID     int     `json:"id"`
	At     float64 `json:"at"`
	Call   string  `json:"call"`
	Moment string  `json:"moment"` // before, after
}

// channel is the line to the harness. Times on it are seconds since it was opened.
type channel struct {
	opened time.Time

	writing sync.Mutex
	out     *json.Encoder

	asking sync.Mutex
	asked  int
	open   map[int]chan bool // nil when no answers will come any more
}

func newChannel(out io.Writer) *channel {
	return &channel{opened: time.Now(), out: json.NewEncoder(out), open: map[int]chan bool{}}
}

func (c *channel) now() float64 {
	return time.Since(c.opened).Seconds()
}

// say writes one line; without a reader there is nobody left to tell, and standard input ends as well.
func (c *channel) say(line any) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.out.Encode(line)
}

// ask waits for the harness, as long as it takes.
func (c *channel) ask(call, moment string) bool {
	c.asking.Lock()
	if c.open == nil {
		c.asking.Unlock()
		return false
	}
	c.asked++
	id, answer := c.asked, make(chan bool, 1)
	c.open[id] = answer
	c.asking.Unlock()
	c.say(question{Say: "question", ID: id, At: c.now(), Call: call, Moment: moment})
	return <-answer
}

func (c *channel) answer(id int, passes bool) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if answer, ok := c.open[id]; ok {
		delete(c.open, id)
		answer <- passes
	}
}

// end lets go of every call that waits for an answer: it is dropped.
func (c *channel) end() {
	c.asking.Lock()
	defer c.asking.Unlock()
	for _, answer := range c.open {
		answer <- false
	}
	c.open = nil
}
