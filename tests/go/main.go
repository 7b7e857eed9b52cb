// Command client reads a log directory the way any C2SP tlog-tiles client would, with the Go checksum database's own
// packages, and checks what it finds. It shares no code with Ledgerstone: what it accepts, a stranger's client accepts.
//
//	client <log directory> <vkey> <checkpoint file>...
//
// Each checkpoint file is taken in turn for the head of the log. Against its signed root the client checks the root of
// the tiles, the inclusion of a spread of entries, the consistency with every checkpoint given before it, and the proofs
// that the log itself wrote beside it, in <checkpoint file>.proofs:
//
//	inclusion <index> <base64 hash>...
//	consistency <size> <base64 hash>...
//
// It prints what it checked and ends with status 1 at the first thing that does not hold.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is the height of C2SP tiles: 256 hashes wide.
const tileHeight = 8

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: client <log directory> <vkey> <checkpoint file>...")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

func run(directory, vkey string, files []string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	var earlier []tlog.Tree
	for _, file := range files {
		tree, err := openCheckpoint(file, verifier)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		log := client{directory, tree, tlog.TileHashReader(tree, tiles{directory})}
		if err := log.check(earlier, file+".proofs"); err != nil {
			return fmt.Errorf("size %d: %w", tree.N, err)
		}
		earlier = append(earlier, tree)
	}
	return nil
}

// openCheckpoint reads a checkpoint and believes it only if verifier's key signed it.
func openCheckpoint(file string, verifier note.Verifier) (tlog.Tree, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	signed, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// client checks one tree whose root is signed.
type client struct {
	directory string
	tree      tlog.Tree
	hashes    tlog.HashReader
}

func (c client) check(earlier []tlog.Tree, proofs string) error {
	root, err := tlog.TreeHash(c.tree.N, c.hashes)
	if err != nil {
		return err
	}
	if root != c.tree.Hash {
		return errors.New("the tiles have another root")
	}
	indexes := spread(c.tree.N)
	for _, index := range indexes {
		if err := c.checkRecord(index); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	for _, old := range earlier {
		proof, err := tlog.ProveTree(c.tree.N, old.N, c.hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, c.tree.N, c.tree.Hash, old.N, old.Hash); err != nil {
			return fmt.Errorf("consistency with size %d: %w", old.N, err)
		}
	}
	given, err := c.checkGivenProofs(earlier, proofs)
	if err != nil {
		return fmt.Errorf("proofs of the log: %w", err)
	}
	fmt.Printf("size %d: root, %d inclusion proofs, %d consistency proofs, %d proofs of the log\n",
		c.tree.N, len(indexes), len(earlier), given)
	return nil
}

// checkRecord checks with a proof made from the tiles that the entry in the bundle is the one that was logged.
func (c client) checkRecord(index int64) error {
	hash, err := c.recordHash(index)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(c.tree.N, index, c.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, c.tree.N, c.tree.Hash, index, hash)
}

// recordHash is the hash of an entry in its bundle.
func (c client) recordHash(index int64) (tlog.Hash, error) {
	bundle := index >> tileHeight
	width := min(c.tree.N-bundle<<tileHeight, 1<<tileHeight)
	data, read, err := readTile(c.directory, "entries", bundle, width)
	if err != nil {
		return tlog.Hash{}, err
	}
	var entries [][]byte
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if data = data[2:]; len(data) < length {
			return tlog.Hash{}, errors.New("bundle ends inside an entry")
		}
		entries, data = append(entries, data[:length]), data[length:]
	}
	if len(data) != 0 || int64(len(entries)) != read {
		return tlog.Hash{}, fmt.Errorf("bundle has %d entries and %d more bytes", len(entries), len(data))
	}
	return tlog.RecordHash(entries[index&(1<<tileHeight-1)]), nil
}

// checkGivenProofs checks the proofs that the log wrote into a file and says how many those were.
func (c client) checkGivenProofs(earlier []tlog.Tree, file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, line := range lines {
		if err := c.checkGivenProof(earlier, strings.Fields(line)); err != nil {
			return 0, fmt.Errorf("%.40q: %w", line, err)
		}
	}
	return len(lines), nil
}

func (c client) checkGivenProof(earlier []tlog.Tree, words []string) error {
	if len(words) < 2 {
		return errors.New("not a proof")
	}
	place, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return err
	}
	var proof []tlog.Hash
	for _, word := range words[2:] {
		bytes, err := base64.StdEncoding.DecodeString(word)
		if err != nil || len(bytes) != tlog.HashSize {
			return errors.New("not a hash")
		}
		proof = append(proof, tlog.Hash(bytes))
	}
	switch words[0] {
	case "inclusion":
		hash, err := c.recordHash(place)
		if err != nil {
			return err
		}
		return tlog.CheckRecord(proof, c.tree.N, c.tree.Hash, place, hash)
	case "consistency":
		for _, old := range earlier {
			if old.N == place {
				return tlog.CheckTree(proof, c.tree.N, c.tree.Hash, old.N, old.Hash)
			}
		}
		return errors.New("no checkpoint of this size")
	default:
		return errors.New("not a kind of proof")
	}
}

// spread picks indexes of a tree: its first and last entries, those at the ends of bundles, and some in between.
func spread(size int64) []int64 {
	seen := map[int64]bool{}
	var indexes []int64
	for _, index := range []int64{0, 1, 254, 255, 256, 257, size / 3, size / 2, 65535, 65536, size - 2, size - 1} {
		if index >= 0 && index < size && !seen[index] {
			seen[index] = true
			indexes = append(indexes, index)
		}
	}
	return indexes
}

// tiles reads C2SP tiles for package tlog, which spells its own paths with the tile height in them.
type tiles struct{ directory string }

func (tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range wanted {
		data, width, err := readTile(t.directory, strconv.Itoa(tile.L), tile.N, int64(tile.W))
		if err != nil {
			return nil, err
		}
		if int64(len(data)) != width*tlog.HashSize {
			return nil, errors.New("tile of the wrong length")
		}
		read = append(read, data[:tile.W*tlog.HashSize])
	}
	return read, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// readTile reads a tile or bundle and says how wide it is. A log may remove a partial one once the full one is there.
func readTile(directory, level string, index, width int64) ([]byte, int64, error) {
	data, err := os.ReadFile(filepath.Join(directory, tilePath(level, index, width)))
	if errors.Is(err, fs.ErrNotExist) {
		width = 1 << tileHeight
		data, err = os.ReadFile(filepath.Join(directory, tilePath(level, index, width)))
	}
	return data, width, err
}

// tilePath spells the path of a tile as C2SP tlog-tiles does.
func tilePath(level string, index, width int64) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		path = fmt.Sprintf("x%03d/%s", index%1000, path)
	}
	path = "tile/" + level + "/" + path
	if width < 1<<tileHeight {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}
