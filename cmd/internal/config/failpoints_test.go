package config

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoFailpoints_AreNil(t *testing.T) {
	f, err := Failpoints([]string{"PATH=x", "DFS_FAILPOINTS="})
	if f != nil || err != nil {
		t.Errorf("got %v, %v", f == nil, err)
	}
}

func TestFailpoint_FailsItsStepOnly(t *testing.T) {
	f, err := Failpoints([]string{"DFS_FAILPOINTS=a.before=error, b=error@2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.At("a.before"); !errors.Is(err, errInjected) {
		t.Errorf("a.before: %v", err)
	}
	if err := f.At("a.after"); err != nil {
		t.Errorf("a.after: %v", err)
	}
	if first, second, third := f.At("b"), f.At("b"), f.At("b"); first != nil || second == nil || third != nil {
		t.Errorf("b@2: %v, %v, %v", first, second, third)
	}
}

func TestSleepingFailpoint_Delays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := Failpoints([]string{"DFS_FAILPOINTS=a=sleep:90s"})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := f.At("a"); err != nil || time.Since(began) != 90*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestRubbishFailpoint_IsAnError(t *testing.T) {
	for _, s := range []string{"a", "=kill", "a=", "a=explode", "a=sleep:soon", "a=kill@0", "a=kill@x", "a=kill,"} {
		if _, err := Failpoints([]string{"DFS_FAILPOINTS=" + s}); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}
