{{- define "tortie.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}

{{- define "tortie.backend" -}}
{{ ternary "bird" "vxlan" (eq .Values.installation.calicoNetwork.bgp "Enabled") }}
{{- end }}

{{- /* The pools by address family, "4" and "6", as YAML. */}}
{{- define "tortie.pools" -}}
{{- $pools := dict }}
{{- range $i, $pool := .Values.installation.calicoNetwork.ipPools }}
{{- $field := printf "installation.calicoNetwork.ipPools[%d]" $i }}
{{- $family := ternary "6" "4" (contains ":" $pool.cidr) }}
{{- $encapsulation := $pool.encapsulation | default (ternary "None" "IPIP" (eq $family "6")) }}
{{- if hasKey $pools $family }}
{{- fail (printf "%s.cidr %q: there is a pool of IPv%s already; more pools are made as IPPools" $field $pool.cidr $family) }}
{{- end }}
{{- if and $pool.name (ne $pool.name (printf "default-ipv%s-ippool" $family)) }}
{{- fail (printf "%s.name %q: the pool of IPv%s is called default-ipv%s-ippool" $field $pool.name $family $family) }}
{{- end }}
{{- if hasPrefix "IPIP" $encapsulation }}
{{- if eq $family "6" }}
{{- fail (printf "%s.encapsulation %q: IPv6 has VXLAN, VXLANCrossSubnet and None" $field $encapsulation) }}
{{- end }}
{{- if eq $.Values.installation.calicoNetwork.bgp "Disabled" }}
{{- fail (printf "%s.encapsulation %q: it needs installation.calicoNetwork.bgp Enabled" $field $encapsulation) }}
{{- end }}
{{- end }}
{{- $_ := set $pools $family (merge (dict "encapsulation" $encapsulation) $pool) }}
{{- end }}
{{- toYaml $pools }}
{{- end }}

{{- /* The mode of one encapsulation that a pool's encapsulation says: (list "VXLAN" "VXLANCrossSubnet"). */}}
{{- define "tortie.mode" -}}
{{- if eq (index . 0) (index . 1) }}Always{{ else if eq (printf "%sCrossSubnet" (index . 0)) (index . 1) }}CrossSubnet{{ else }}Never{{ end }}
{{- end }}

{{- /* What a node finds its address by; nothing where nothing is said. */}}
{{- define "tortie.autodetection" -}}
{{- with . }}
{{- if .firstFound }}first-found
{{- else if .kubernetes }}kubernetes-internal-ip
{{- else if .interface }}interface={{ .interface }}
{{- else if .skipInterface }}skip-interface={{ .skipInterface }}
{{- else if .canReach }}can-reach={{ .canReach }}
{{- else if .cidrs }}cidr={{ join "," .cidrs }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The variables of the pool of a family: (dict "family" "4" "pool" POOL "environment" DICT). */}}
{{- define "tortie.setPool" -}}
{{- $variable := printf "CALICO_IPV%sPOOL_" .family }}
{{- $_ := set .environment (print $variable "CIDR") .pool.cidr }}
{{- $_ := set .environment (print $variable "VXLAN") (include "tortie.mode" (list "VXLAN" .pool.encapsulation)) }}
{{- if eq .family "4" }}
{{- $_ := set .environment (print $variable "IPIP") (include "tortie.mode" (list "IPIP" .pool.encapsulation)) }}
{{- end }}
{{- with .pool.blockSize }}{{ $_ := set $.environment (print $variable "BLOCK_SIZE") (int . | toString) }}{{ end }}
{{- with .pool.nodeSelector }}{{ $_ := set $.environment (print $variable "NODE_SELECTOR") . }}{{ end }}
{{- with .pool.natOutgoing }}{{ $_ := set $.environment (print $variable "NAT_OUTGOING") (eq . "Enabled" | toString) }}{{ end }}
{{- with .pool.disableBGPExport }}{{ $_ := set $.environment (print $variable "DISABLE_BGP_EXPORT") "true" }}{{ end }}
{{- end }}

{{- /* calico-node's environment by name, as YAML. */}}
{{- define "tortie.nodeEnvironment" -}}
{{- $network := .Values.installation.calicoNetwork }}
{{- $environment := include "tortie.nodeDefaults" . | fromYaml }}
{{- $pools := include "tortie.pools" . | fromYaml }}
{{- range $family, $pool := $pools }}
{{- include "tortie.setPool" (dict "family" $family "pool" $pool "environment" $environment) }}
{{- end }}
{{- if hasKey $pools "6" }}
{{- $_ := set $environment "FELIX_IPV6SUPPORT" "true" }}
{{- $_ := set $environment "IP6" "autodetect" }}
{{- $_ := set $environment "IP6_AUTODETECTION_METHOD" "kubernetes-internal-ip" }}
{{- if not (hasKey $pools "4") }}
{{- $_ := set $environment "IP" "none" }}
{{- $_ := set $environment "CALICO_IPV4POOL_CIDR" "none" }}
{{- $_ := set $environment "CALICO_ROUTER_ID" "hash" }}
{{- end }}
{{- end }}
{{- if eq $network.bgp "Disabled" }}{{ $_ := set $environment "CLUSTER_TYPE" "k8s" }}{{ end }}
{{- with include "tortie.autodetection" $network.nodeAddressAutodetectionV4 }}{{ $_ := set $environment "IP_AUTODETECTION_METHOD" . }}{{ end }}
{{- with include "tortie.autodetection" $network.nodeAddressAutodetectionV6 }}{{ $_ := set $environment "IP6_AUTODETECTION_METHOD" . }}{{ end }}
{{- if $network.mtu }}
{{- range list "IPINIPMTU" "VXLANMTU" "VXLANMTUV6" "WIREGUARDMTU" "WIREGUARDMTUV6" }}
{{- $_ := set $environment (print "FELIX_" .) ($network.mtu | int | toString) }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.node.env }}
{{- /* Helm has every number as a float, whose text may be 1e+06. */}}
{{- if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ $value = int64 $value }}{{ end }}{{ end }}
{{- $_ := set $environment $name (toString $value) }}
{{- end }}
{{- toYaml $environment }}
{{- end }}
