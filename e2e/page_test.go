package e2e

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A person opens the page in a browser, acknowledges the alert and says what it was worth.
func TestThePageInABrowser(t *testing.T) {
	s, people, _ := prepare(t, kvRule)
	launch(t, s.dir, s.health, s.whole())
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "the page", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	tab := s.browse(t)

	var text string
	require.NoError(t, chromedp.Run(tab,
		chromedp.Navigate("http://"+s.page+"/"),
		chromedp.Text("body", &text, chromedp.ByQuery),
	))
	for _, want := range []string{"KVCacheNearlyFull", "platform", "0.99", "0.98", "llama"} {
		assert.Contains(t, text, want)
	}
	click := func(button string) {
		t.Helper()
		_, err := chromedp.RunResponse(tab, chromedp.Click(button, chromedp.ByQuery)) // and wait for the page that answers
		require.NoError(t, err)
	}
	click(`button[formaction$="/acknowledge"]`)
	eventually(t, "the API shows the acknowledgement", func() bool {
		open := s.alerts(t, "?open=true")
		return len(open) == 1 && open[0].Acknowledgement != nil
	})
	click(`button[formaction$="/verdict"][value="false_positive"]`)
	eventually(t, "the API shows the verdict", func() bool {
		open := s.alerts(t, "?open=true")
		return len(open) == 1 && open[0].Verdict == "false_positive"
	})
}

// browse opens a browser, which ends with the test.
func (s *settings) browse(t testing.TB, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	var browser string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		lacking(t, "there is no Chromium: install it to have the page tested")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-quic", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	tab, cancel := context.WithTimeout(tab, 2*patience)
	t.Cleanup(cancel)
	return tab
}
