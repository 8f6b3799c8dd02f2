package state

import (
	"encoding/binary"

	"dfs/fs"
)

// The first byte of a key says what lies there. All of them are in [keysFrom, keysTo); a store may keep keys of its own
// outside, which neither Digest nor Check look at.
const (
	keyGlobal   = '!' // !accounting, !config, !counters
	keyXattr    = 'a' // a<ino><name>
	keyBlob     = 'b' // b<session><counter>
	keyCookie   = 'c' // c<dir><cookie>
	keyDebt     = 'd' // d<session><counter>
	keyGarbage  = 'g' // g<session><counter>
	keyHome     = 'p' // p<ino><dir>
	keyInode    = 'i' // i<ino>
	keyNode     = 'm' // m<node>
	keyName     = 'n' // n<dir><name>
	keyOrphan   = 'o' // o<ino>
	keyAnswer   = 'r' // r<session><seq>
	keySession  = 's' // s<session>
	keyToken    = 't' // t<token>
	keyTree     = 'q' // q<ino>
	keyUser     = 'u' // u<uid>
	keyWalk     = 'w' // w<dir>
	keyExtent   = 'x' // x<ino><end>
	keysFrom    = "!"
	keysTo      = "{" // behind 'z'
	keyConfig   = "!config"
	keyCounters = "!counters"

	keyAccounting = "!accounting"
)

// key1 and key2 append numbers big-endian, so that keys sort as the numbers do.
func key1(kind byte, a uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), kind), a)
}

func key2(kind byte, a, b uint64) []byte {
	k := append(make([]byte, 0, 17), kind)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(k, a), b)
}

func keyString(kind byte, a uint64, s string) []byte {
	k := append(make([]byte, 0, 9+len(s)), kind)
	return append(binary.BigEndian.AppendUint64(k, a), s...)
}

func inodeKey(ino fs.Ino) []byte             { return key1(keyInode, uint64(ino)) }
func orphanKey(ino fs.Ino) []byte            { return key1(keyOrphan, uint64(ino)) }
func nameKey(dir fs.Ino, name string) []byte { return keyString(keyName, uint64(dir), name) }
func cookieKey(dir fs.Ino, cookie fs.Cookie) []byte {
	return key2(keyCookie, uint64(dir), uint64(cookie))
}
func homeKey(ino, dir fs.Ino) []byte          { return key2(keyHome, uint64(ino), uint64(dir)) }
func xattrKey(ino fs.Ino, name string) []byte { return keyString(keyXattr, uint64(ino), name) }

// extentKey holds the extent's end, not its start: the first extent that reaches beyond an offset is then found by one
// step forward, and a scan never has to look back.
func extentKey(ino fs.Ino, end uint64) []byte { return key2(keyExtent, uint64(ino), end) }

func blobKey(kind byte, id fs.BlobID) []byte       { return key2(kind, uint64(id.Session), id.Counter) }
func sessionKey(id fs.SessionID) []byte            { return key1(keySession, uint64(id)) }
func answerKey(id fs.SessionID, seq uint64) []byte { return key2(keyAnswer, uint64(id), seq) }
func nodeKey(id fs.NodeID) []byte                  { return append([]byte{keyNode}, id...) }
func treeKey(root fs.Ino) []byte                   { return key1(keyTree, uint64(root)) }
func userKey(uid uint32) []byte                    { return key1(keyUser, uint64(uid)) }
func walkKey(dir fs.Ino) []byte                    { return key1(keyWalk, uint64(dir)) }
func tokenKey(id string) []byte                    { return append([]byte{keyToken}, id...) }

// prefixEnd is the first key behind all keys that start with prefix, whose first byte is below 0xff.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}

// after is the first key behind key.
func after(key []byte) []byte { return append(append(make([]byte, 0, len(key)+1), key...), 0) }

// keyNumber reads the number at byte at of a key.
func keyNumber(key []byte, at int) (uint64, error) {
	if len(key) < at+8 {
		return 0, corrupt("key %x is too short", key)
	}
	return binary.BigEndian.Uint64(key[at:]), nil
}

// keyBlobID reads the blob id of a b, g or d key.
func keyBlobID(key []byte) (fs.BlobID, error) {
	s, err := keyNumber(key, 1)
	if err != nil {
		return fs.BlobID{}, err
	}
	n, err := keyNumber(key, 9)
	return fs.BlobID{Session: fs.SessionID(s), Counter: n}, err
}
