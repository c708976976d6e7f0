package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/storagetest"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// lived is a host with a storage that an earlier run has used. Without one the processor announces recoveries for the
// first hour after its start, within a budget of points a second: that is not the quiet path, and a run this short would
// count an hour's share of it.
type lived struct {
	component.StartFunc
	component.ShutdownFunc
}

var livedID = component.MustNewID("lived")

func (h lived) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{livedID: h}
}

// GetClient implements storage.Extension.
func (lived) GetClient(ctx context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	client := storagetest.NewInMemoryClient(kind, id, name)
	return client, client.Set(ctx, "v1/meta", fmt.Appendf(nil, `{"as_of": %q}`, time.Now().UTC().Format(time.RFC3339Nano)))
}
