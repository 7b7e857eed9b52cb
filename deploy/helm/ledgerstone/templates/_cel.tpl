{{- /*
A value as a CEL expression. Kubernetes asks that lists and maps of CEL hold values of one type, so each is dyn(). Marks of
"ledgerstone.injected" in strings become what the policy's variables say.
*/ -}}
{{- define "ledgerstone.cel" -}}
{{- if kindIs "map" . -}}
{
{{- $first := true -}}
{{- range $key, $value := . -}}
{{- if not $first }}, {{ end -}}
{{- $first = false -}}
{{ $key | quote }}: dyn({{ include "ledgerstone.cel" $value }})
{{- end -}}
}
{{- else if kindIs "slice" . -}}
[
{{- range $index, $value := . -}}
{{- if $index }}, {{ end -}}
dyn({{ include "ledgerstone.cel" $value }})
{{- end -}}
]
{{- else if kindIs "string" . -}}
{{- $text := toJson . -}}
{{- $said := dict "namespace" "object.metadata.namespace" "store-claim" "variables.claim" "profile" "variables.profile" "upstream-port" "variables.port" -}}
{{- range $mark, $variable := $said -}}
{{- $text = replace (printf "${ledgerstone.io/%s}" $mark) (printf "\" + %s + \"" $variable) $text -}}
{{- end -}}
{{- $text | trimPrefix "\"\" + " | trimSuffix " + \"\"" -}}
{{- else if kindIs "float64" . -}}
{{ int64 . }}
{{- else -}}
{{ . | toJson }}
{{- end -}}
{{- end -}}
