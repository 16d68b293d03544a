// A container runtime as far as libcni goes: one verb of a conflist for one container.
//
//	libcni VERB CONFLIST CONTAINERID NETNS IFNAME [K=V;K=V]
//
// VERB is add, check, del, status, validate, or gc, which keeps only this container's attachment.
// CNI_PATH names the plugins' folders; CNI_CACHE the folder where results are remembered.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

func main() {
	if len(os.Args) < 6 {
		fail(fmt.Errorf("usage: libcni VERB CONFLIST CONTAINERID NETNS IFNAME [K=V;K=V]"))
	}
	list, err := libcni.ConfListFromFile(os.Args[2])
	fail(err)
	path := strings.Split(os.Getenv("CNI_PATH"), ":")
	cni := libcni.NewCNIConfigWithCacheDir(path, os.Getenv("CNI_CACHE"), nil)
	container := &libcni.RuntimeConf{ContainerID: os.Args[3], NetNS: os.Args[4], IfName: os.Args[5]}
	if len(os.Args) > 6 {
		container.Args = args(os.Args[6])
	}
	fail(run(os.Args[1], cni, list, container))
}

func run(verb string, cni *libcni.CNIConfig, list *libcni.NetworkConfigList, container *libcni.RuntimeConf) error {
	ctx := context.Background()
	switch verb {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, container)
		if err != nil {
			return err
		}
		return result.Print()
	case "check":
		return cni.CheckNetworkList(ctx, list, container)
	case "del":
		return cni.DelNetworkList(ctx, list, container)
	case "gc":
		kept := types.GCAttachment{ContainerID: container.ContainerID, IfName: container.IfName}
		return cni.GCNetworkList(ctx, list, &libcni.GCArgs{ValidAttachments: []types.GCAttachment{kept}})
	case "status":
		return cni.GetStatusNetworkList(ctx, list)
	case "validate":
		_, err := cni.ValidateNetworkList(ctx, list)
		return err
	}
	return fmt.Errorf("there is no verb %q", verb)
}

func args(text string) [][2]string {
	var pairs [][2]string
	for _, pair := range strings.Split(text, ";") {
		key, value, _ := strings.Cut(pair, "=")
		pairs = append(pairs, [2]string{key, value})
	}
	return pairs
}

// The plugin's own error is JSON, as it was printed: code, msg, details.
func fail(err error) {
	if err == nil {
		return
	}
	if plugin, ok := err.(*types.Error); ok {
		plugin.Print()
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
