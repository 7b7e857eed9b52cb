{{- /*
A value as a CEL expression. Kubernetes asks that lists and maps of CEL hold values of one type, so each is dyn(). A string that
begins with "cel:" is an expression itself.
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
{{- if hasPrefix "cel:" . -}}
{{ trimPrefix "cel:" . }}
{{- else -}}
{{ . | toJson }}
{{- end -}}
{{- else if kindIs "float64" . -}}
{{ int64 . }}
{{- else -}}
{{ . | toJson }}
{{- end -}}
{{- end -}}
