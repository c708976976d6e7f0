package web

import (
	"context"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func setScriptDisabled(ctx context.Context) error {
	return emulation.SetScriptExecutionDisabled(true).Do(ctx)
}

// timeZone has the browser believe to be somewhere.
func timeZone(name string) chromedp.Action { return emulation.SetTimezoneOverride(name) }

// mayCopy lets pages use the clipboard, which a person would be asked for.
func mayCopy() chromedp.Action {
	return cdpbrowser.GrantPermissions([]cdpbrowser.PermissionType{cdpbrowser.PermissionTypeClipboardReadWrite, cdpbrowser.PermissionTypeClipboardSanitizedWrite})
}

// pressed are keys, one after the other, as a keyboard sends them. (chromedp.KeyEvent sends the character by itself, so that it
// comes even where the page has taken the key for something else.)
func pressed(keys string, modifiers input.Modifier) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for _, r := range keys {
			down, up := stroke(r, modifiers)
			if err := down.Do(ctx); err != nil {
				return err
			}
			if err := up.Do(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// repeated is a key that is down already, and is so for so many repetitions more.
func repeated(key rune, times int) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		down, _ := stroke(key, 0)
		for range times {
			if err := down.WithAutoRepeat(true).Do(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func stroke(r rune, modifiers input.Modifier) (down, up *input.DispatchKeyEventParams) {
	k := kb.Keys[r]
	if k.Shift {
		modifiers |= input.ModifierShift
	}
	down = input.DispatchKeyEvent(input.KeyDown).WithKey(k.Key).WithCode(k.Code).WithWindowsVirtualKeyCode(k.Windows).WithModifiers(modifiers)
	if k.Print {
		down = down.WithText(k.Text).WithUnmodifiedText(k.Unmodified)
	} else {
		down.Type = input.KeyRawDown
	}
	up = input.DispatchKeyEvent(input.KeyUp).WithKey(k.Key).WithCode(k.Code).WithWindowsVirtualKeyCode(k.Windows).WithModifiers(modifiers)
	return down, up
}

const (
	withAlt     = input.ModifierAlt
	withControl = input.ModifierCtrl
)

// runFirst runs a script before every page's own.
func runFirst(script string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := cdppage.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
		return err
	})
}

// awaited waits for what a promise becomes.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
