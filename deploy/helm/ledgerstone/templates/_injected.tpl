{{- /*
What is put into pods that ask for it, as JSON: the sidecar as the partial makes it, for one log a claim. The MutatingAdmissionPolicy says
it in CEL, the injector takes it as it is; both fill in the marks ${ledgerstone.io/...} with what a pod's annotations say.
*/ -}}
{{- define "ledgerstone.injected" -}}
{{- if ne .Values.keys.source "volume" -}}
{{- fail "pods that ask for the sidecar get one whose keys lie on its volume: set keys.source to volume, or include the partial" -}}
{{- end -}}
{{- $values := mustMergeOverwrite (deepCopy (omit .Values "AsMap")) (dict "workload" (dict "enabled" false "kind" "Deployment")) -}}
{{- $scope := dict "Values" $values "Chart" .Chart "Release" .Release "Template" .Template "Capabilities" .Capabilities "Files" .Files -}}
{{- $containers := include "ledgerstone.sidecar" $scope | fromYamlArray -}}
{{- $said := dict
  "LEDGERSTONE_LOG_ORIGIN" (printf "%s/${ledgerstone.io/namespace}/${ledgerstone.io/store-claim}" (include "ledgerstone.origin" .))
  "LEDGERSTONE_WRITER_NAME" "${ledgerstone.io/store-claim}"
  "LEDGERSTONE_UPSTREAM_ADDRESS" "http://127.0.0.1:${ledgerstone.io/upstream-port}" -}}
{{- range $container := $containers -}}
{{- range $variable := $container.env -}}
{{- if hasKey $said $variable.name -}}
{{- $_ := set $variable "value" (get $said $variable.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $volumes := include "ledgerstone.volumes" $scope | fromYamlArray -}}
{{- range $volume := $volumes -}}
{{- if eq $volume.name "ledgerstone-store" }}{{ $_ := set $volume.persistentVolumeClaim "claimName" "${ledgerstone.io/store-claim}" }}{{ end -}}
{{- if eq $volume.name "ledgerstone-config" }}{{ $_ := set $volume.configMap "name" "ledgerstone-profile-${ledgerstone.io/profile}" }}{{ end -}}
{{- end -}}
{{- $image := include "ledgerstone.image" (dict "image" .Values.image "chart" .Chart) -}}
{{- dict
  "sidecar" .Values.sidecar.name
  "upstreamPort" (int64 .Values.model.port)
  "status" (printf "injected %s %s" .Chart.AppVersion $image)
  "labels" (dict "ledgerstone.io/regulated" "true")
  "securityContext" (dict "fsGroup" (int64 .Values.securityContext.fsGroup) "fsGroupChangePolicy" "OnRootMismatch")
  "containers" $containers
  "volumes" $volumes | toPrettyJson -}}
{{- end -}}
