// Command kube-tap stands between Kubernetes clients and an API server. It tells the harness of every
// call, and asks it before a mutating call is sent and again before the client hears how it went.
//
// The harness is at the other end of standard input and output, one JSON object a line. When standard
// input ends the harness is gone, and so is the tap. Bodies and header values are never told.
package main

import (
	"encoding/json"
	"os"
)

// order is what the harness sends.
type order struct {
	Do string `json:"do"` // listen, answer, end
	ID int    `json:"id"`
	// of listen
	Server      string `json:"server"`
	ServerName  string `json:"server_name"`
	Insecure    bool   `json:"insecure"`
	Authority   string `json:"authority"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	Serving     string `json:"serving"`
	ServingKey  string `json:"serving_key"`
	// of answer
	Passes bool `json:"passes"`
}

func main() {
	told := newChannel(os.Stdout)
	served := newTap(told)
	orders := json.NewDecoder(os.Stdin)
	for {
		var next order
		if err := orders.Decode(&next); err != nil {
			os.Exit(0)
		}
		switch next.Do {
		case "listen":
			address, err := served.listen(next)
			if err != nil {
				told.say(reply{Say: "refused", ID: next.ID, At: told.now(), Why: err.Error()})
				continue
			}
			told.say(reply{Say: "listening", ID: next.ID, At: told.now(), Address: address})
		case "answer":
			told.answer(next.ID, next.Passes)
		case "end":
			go func() {
				served.end()
				os.Exit(0)
			}()
		}
	}
}
