// Command json reads YAML documents from standard input and prints them as one JSON list; empty documents are left out.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	fail(err)
	documents := []any{}
	for _, part := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		var document any
		fail(yaml.Unmarshal(part, &document))
		if document != nil {
			documents = append(documents, document)
		}
	}
	fail(json.NewEncoder(os.Stdout).Encode(documents))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "json:", err)
		os.Exit(1)
	}
}
