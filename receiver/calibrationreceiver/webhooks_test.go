package calibrationreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

const allWebhooks = `
webhooks:
  http: {endpoint: "localhost:0"}
  pagerduty: {signing_secrets: [s3cret-a, s3cret-b]}
  slack: {signing_secret: s3cret-c}
  standard: {signing_secrets: [czNjcmV0]}
  alertmanager: {token: s3cret-d}
  gates: {token: s3cret-e}
`

func TestSecretsOfWebhooksStayHidden(t *testing.T) {
	conf, err := confmap.NewRetrievedFromYAML([]byte(allWebhooks))
	require.NoError(t, err)
	parsed, err := conf.AsConf()
	require.NoError(t, err)
	config := createDefaultConfig().(*Config)
	require.NoError(t, parsed.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	shown := confmap.New()
	require.NoError(t, shown.Marshal(config))
	for _, text := range []string{
		fmt.Sprintf("%v", config.Webhooks.Get()), fmt.Sprintf("%+v", *config.Webhooks.Get()), fmt.Sprintf("%#v", *config.Webhooks.Get()),
		fmt.Sprint(config), fmt.Sprintf("%+v", config), fmt.Sprint(shown.ToStringMap()),
	} {
		require.NotContains(t, text, "s3cret")
		require.NotContains(t, text, "czNjcmV0")
	}
}
