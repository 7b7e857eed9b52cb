// A Vault server for tests: Vault's own core, HTTP handler and transit engine over storage in memory.
//
// Vault's command carries every cloud's client; this program carries what the tests speak to. It starts sealed and
// uninitialised, as Vault does: the tests initialise, unseal and seal it over HTTP.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"

	log "github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "the address to serve on; port 0 takes a free one")
	cert := flag.String("cert", "", "a certificate chain as PEM; without it plain HTTP is spoken")
	key := flag.String("key", "", "its private key as PEM")
	flag.Parse()
	if err := serve(*listen, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address, cert, key string) error {
	logger := log.New(&log.LoggerOptions{Level: log.Warn, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		Logger:          logger,
		DisableMlock:    true,
		LogicalBackends: map[string]logical.Factory{"transit": transit.Factory},
		BuiltinRegistry: onlyTransit{},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	// The first line of standard output says where it is.
	fmt.Println(listener.Addr())
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:                  core,
		ListenerConfig:        &configutil.Listener{},
		DisablePrintableCheck: true,
	})
	server := &http.Server{Handler: handler}
	if cert != "" {
		return server.ServeTLS(listener, cert, key)
	}
	return server.Serve(listener)
}

// onlyTransit is the catalogue of built-in plugins with the one that is there.
type onlyTransit struct{}

func (onlyTransit) Contains(name string, pluginType consts.PluginType) bool {
	return name == "transit" && pluginType == consts.PluginTypeSecrets
}

func (r onlyTransit) Get(name string, pluginType consts.PluginType) (func() (interface{}, error), bool) {
	none := func() (interface{}, error) { return nil, context.Canceled }
	return none, r.Contains(name, pluginType)
}

func (onlyTransit) Keys(pluginType consts.PluginType) []string {
	if pluginType == consts.PluginTypeSecrets {
		return []string{"transit"}
	}
	return nil
}

func (r onlyTransit) DeprecationStatus(name string, pluginType consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, pluginType)
}
