//go:build go1.22

package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
)

const largestBody = 16 << 20

// A name is one part of a path: no folder, no hidden file (a file being written is one).
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$`)

func take(folder string) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, largestBody))
		name := request.PathValue("name")
		if !nameForm.MatchString(name) {
			http.Error(answer, "not a name", http.StatusBadRequest)
			return
		}
		if err == nil {
			err = keep(folder, name, body)
		}
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		answer.WriteHeader(http.StatusNoContent)
	}
}

// keep returns when the bytes would outlive a power cut: the file is synced before it gets its name, the
// folder after.
func keep(folder, name string, body []byte) error {
	file, err := os.CreateTemp(folder, ".partial-*")
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), filepath.Join(folder, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	parent, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

func give(folder string) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		body, err := []byte(nil), os.ErrNotExist
		if name := request.PathValue("name"); nameForm.MatchString(name) {
			body, err = os.ReadFile(filepath.Join(folder, name))
		}
		switch {
		case errors.Is(err, os.ErrNotExist):
			http.Error(answer, "there is none", http.StatusNotFound)
		case err != nil: // a disk that fails must not read as lost data
			http.Error(answer, err.Error(), http.StatusInternalServerError)
		default:
			answer.Header().Set("Content-Type", "application/octet-stream")
			_, _ = answer.Write(body)
		}
	}
}
