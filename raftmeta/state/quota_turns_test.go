package state_test

import (
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// Several trees may be counted, or left, within one Survey.
func TestQuota_OneSurveyCountsAllTreesThatWait(t *testing.T) {
	c := newCluster(t)
	for n := range fs.Ino(4) {
		c.dir(10+n, string(rune('a'+n)))
		c.make(fs.TypeRegular, 10+n, 20+n, "f")
	}
	c.do(&command.KeepAccounts{})
	c.do(&command.Survey{Inodes: 1000})
	change := fs.LimitChange{SetInodes: true, Limits: fs.Limits{Inodes: 5}}
	for _, path := range []string{"/a", "/b", "/c", "/d"} {
		c.do(&command.SetQuota{Of: fs.QuotaOf{Path: path}, Change: change})
	}
	c.do(&command.Survey{Inodes: 1000})
	for n := range uint64(4) {
		c.uses(treeID(10+n), 0, 2)
	}
	for _, path := range []string{"/a", "/b", "/c", "/d"} {
		c.do(&command.SetQuota{Of: fs.QuotaOf{Path: path}, Remove: true})
	}
	c.do(&command.Survey{Inodes: 1000})
	if list, err := c.view().Quotas(fs.QuotaID{}, 100, false); err != nil || len(list) > 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
