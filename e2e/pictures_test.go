package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// largestPicture and largestAlbum bound what the pictures take in the repository, in bytes.
	largestPicture = 60_000
	largestAlbum   = 1_500_000
)

// look is one way to see a page.
type look struct {
	name  string
	width int64
	dark  bool
}

var looks = []look{{"wide", 1100, false}, {"wide-dark", 1100, true}, {"phone", 390, false}, {"phone-dark", 390, true}}

// With PICTURES=directory (`make pictures`), every page is photographed from the real collector, light and dark, wide and on a
// phone.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PICTURES")
	if dir == "" {
		t.Skip("set PICTURES to a directory to take pictures of the page")
	}
	s, _, _ := prepare(t, kvRule)
	h := newHistory(t, filepath.Join(s.dir, "alerts.db"))
	open, past := h.tellWeeks()
	steps := func(owner, more string) string {
		return fmt.Sprintf("%s: {%s steps: [{receivers: [oncall]}, {after: 15m, receivers: [lead]}]}", owner, more)
	}
	s.owners = "{" + strings.Join([]string{
		steps("inference-platform", "alert_budget: 20 per 7d,"), steps("capacity", "alert_budget: 14 per 7d,"),
		steps("hardware", "alert_budget: 10 per 7d,"), steps("search", "respond_within: 30m,"), steps("unowned", ""),
	}, ", ") + "}"
	s.exporter = []string{`actions: {rollback: {mode: recommend, targets: [{name: search, rules: [ErrorRateHigh], match: {service: search}, webhook: {endpoint: "` +
		s.pager + `", signing_secret: ` + rollbackSecret + `}}]}}`}
	launch(t, s.dir, s.health, s.whole())
	for _, silence := range []string{
		`{"matchers": [{"name": "instance", "value": "gpu-node-0[12].*", "isRegex": true}], "endsAt": "` + h.now.Add(5*time.Hour).Format(time.RFC3339) + `", "createdBy": "emil", "comment": "New heat sinks, ticket OPS-2231"}`,
		`{"matchers": [{"name": "service", "value": "search", "isRegex": false}, {"name": "severity", "value": "critical", "isRegex": false, "isEqual": false}], "startsAt": "` +
			h.now.Add(14*time.Hour).Format(time.RFC3339) + `", "endsAt": "` + h.now.Add(18*time.Hour).Format(time.RFC3339) + `", "createdBy": "fay", "comment": "Load test of the fallback model"}`,
	} {
		require.Equal(t, http.StatusOK, s.post(t, "/api/v1/silences", silence))
	}
	// The receiver has concluded about every rule.
	eventually(t, "suggestions", func() bool { return strings.Contains(s.text(t, "/rules"), "would have gone") })

	require.NoError(t, os.MkdirAll(dir, 0o755))
	tab := s.browse(t, chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-lcd-text", true), chromedp.Flag("font-render-hinting", "none"))
	total := 0
	for _, one := range []struct {
		name, path string
		height     int64 // at most so much of it
	}{
		{"list", "/", 1300},
		{"alert", "/alerts/" + open, 1500},
		{"story", "/alerts/" + past, 1500},
		{"judge", "/judge?owner=inference-platform&by=anna&judged=12", 1500},
		{"rules", "/rules", 1500},
		{"rule", "/rules/KVCacheNearlyFull", 1700},
		{"owners", "/owners", 1500},
		{"missed", "/missed", 1500},
		{"silences", "/silences", 1500},
		{"receivers", "/receivers", 1500},
		{"error", "/alerts/gone", 1500},
	} {
		for _, l := range looks {
			file := filepath.Join(dir, one.name+"-"+l.name+".png")
			content := photograph(t, tab, "http://"+s.page+one.path, l, one.height)
			require.NoError(t, os.WriteFile(file, content, 0o644))
			total += len(content)
			assert.LessOrEqual(t, len(content), largestPicture, file)
		}
	}
	figures("pictures of the page: %d kB in %s", total/1000, dir)
}

// text is what a page answers with.
func (s *settings) text(t testing.TB, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + s.page + path)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, body.String())
	return body.String()
}

// photograph takes a picture of a page, from its top, and reduces its colours.
func photograph(t testing.TB, tab context.Context, url string, l look, most int64) []byte {
	t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	var height int64
	var shot []byte
	require.NoError(t, chromedp.Run(tab,
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.EmulateViewport(l.width, 800),
		emulation.SetTouchEmulationEnabled(l.width < 500),
		chromedp.Navigate(url),
		chromedp.Evaluate(`document.documentElement.getBoundingClientRect().height | 0`, &height),
		chromedp.ActionFunc(func(ctx context.Context) (err error) {
			clip := &cdppage.Viewport{Width: float64(l.width), Height: float64(min(max(height, 200), most)), Scale: 1}
			shot, err = cdppage.CaptureScreenshot().WithClip(clip).WithCaptureBeyondViewport(true).Do(ctx)
			return err
		}),
	), url)
	picture, err := png.Decode(bytes.NewReader(shot))
	require.NoError(t, err)
	var small bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, reduce(picture, 36)))
	return small.Bytes()
}

// reduce draws a picture with so many colours: first the commonest, then again and again the one that the chosen ones stand
// for worst, by how often it is there.
func reduce(picture image.Image, colours int) *image.Paletted {
	count := map[color.RGBA]int{}
	bounds := picture.Bounds()
	at := func(x, y int) color.RGBA {
		r, g, b, _ := picture.At(x, y).RGBA()
		return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	distance := map[color.RGBA]int{} // to the nearest that is chosen, squared
	nearest := map[color.RGBA]uint8{}
	for c := range count {
		distance[c] = 3 * 256 * 256
	}
	var palette color.Palette
	for len(palette) < min(colours, len(count)) {
		var next color.RGBA
		worst := -1
		for c, n := range count {
			// Ties are broken by the colour, so that the same picture comes out every time.
			if weight := distance[c] * min(n, 2000); weight > worst || weight == worst && less(c, next) {
				next, worst = c, weight
			}
		}
		for c := range count {
			if d := squared(c, next); d < distance[c] {
				distance[c], nearest[c] = d, uint8(len(palette))
			}
		}
		palette = append(palette, next)
	}
	small := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			small.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	return small
}

func squared(a, b color.RGBA) int {
	r, g, bl := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
	return r*r + g*g + bl*bl
}

func less(a, b color.RGBA) bool {
	x := func(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }
	return x(a) < x(b)
}

// The pictures that docs/page.md shows are there, none is there that it does not show, and they are small.
func TestPicturesOfTheDocs(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "docs", "page.md"))
	require.NoError(t, err)
	shown := map[string]bool{}
	for _, found := range regexp.MustCompile(`"pictures/([a-z-]+\.png)"`).FindAllStringSubmatch(string(content), -1) {
		shown[found[1]] = true
	}
	files, err := os.ReadDir(filepath.Join("..", "docs", "pictures"))
	require.NoError(t, err)
	total := int64(0)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		total += info.Size()
		assert.LessOrEqual(t, info.Size(), int64(largestPicture), f.Name())
		assert.True(t, shown[f.Name()], "docs/page.md does not show %s", f.Name())
		delete(shown, f.Name())
	}
	assert.Empty(t, shown, "docs/page.md shows what is not there: make pictures")
	assert.LessOrEqual(t, total, int64(largestAlbum))
}
