package statetest

import (
	"dfs/fs"
	"dfs/raftmeta/command"
)

// surveyAll is more inodes than a test has: a Survey of so many counts all that there is to count.
const surveyAll = 4096

// quota makes a command about quotas.
func (g *Generator) quota() command.Command {
	if !g.accounts {
		g.accounts, g.survey = true, g.SurveyInodes == 0
		return &command.KeepAccounts{}
	}
	if g.SurveyInodes > 0 && g.choose(3) == 0 {
		return &command.Survey{Inodes: g.SurveyInodes}
	}
	g.survey = g.SurveyInodes == 0
	q := &command.SetQuota{Remove: g.choose(3) == 0}
	if g.choose(4) == 0 {
		q.Of = fs.QuotaOf{User: true, UID: uint32(g.choose(3))}
	} else {
		q.Of.Path = g.subtree()
	}
	if q.Remove {
		return q
	}
	q.Change = fs.LimitChange{SetBytes: g.choose(2) == 0, SetInodes: g.choose(2) == 0,
		Limits: fs.Limits{Bytes: uint64(g.choose(3) * sizeMax), Inodes: uint64(g.choose(3) * 4)}}
	return q
}
