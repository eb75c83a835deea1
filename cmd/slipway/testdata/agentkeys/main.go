// Agentkeys prints how many keys the ssh agent at $SSH_AUTH_SOCK has, as ssh-add
// -l would list them (draft-miller-ssh-agent, "Requesting a list of keys"). It is
// static, so that it runs in an image that has nothing else.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

func main() {
	conn, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := conn.Write([]byte{0, 0, 0, 1, 11}); err != nil {
		log.Fatal(err)
	}
	answer := make([]byte, 9) // length, type 12, number of keys
	if _, err := io.ReadFull(conn, answer); err != nil || answer[4] != 12 {
		log.Fatal(answer, err)
	}
	fmt.Println(binary.BigEndian.Uint32(answer[5:]))
}
