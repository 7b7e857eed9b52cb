{{- define "ledgerstone.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 40 characters, so that what is added to it stays a name of a Service and of a StatefulSet's pods. */ -}}
{{- define "ledgerstone.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "ledgerstone.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ledgerstone.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "ledgerstone.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ledgerstone
{{- end -}}

{{- /* Labels of every pod that has the sidecar of this release; Services, policies and monitors select by them. */ -}}
{{- define "ledgerstone.podLabels" -}}
ledgerstone.io/log: {{ include "ledgerstone.fullname" . }}
ledgerstone.io/regulated: "true"
{{- end -}}

{{- define "ledgerstone.selectorLabels" -}}
ledgerstone.io/log: {{ include "ledgerstone.fullname" . }}
{{- end -}}

{{- define "ledgerstone.injectorLabels" -}}
app.kubernetes.io/name: {{ include "ledgerstone.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: injector
{{- end -}}

{{- define "ledgerstone.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ledgerstone.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* REPOSITORY:TAG or REPOSITORY@DIGEST of the image in a dict of `image` and `chart`. */ -}}
{{- define "ledgerstone.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "ledgerstone.scheme" -}}
{{- ternary "https" "http" (ne .Values.sidecar.tls.existingSecret "") -}}
{{- end -}}

{{- /* How Prometheus reaches the admin port: as the Secrets say. */ -}}
{{- define "ledgerstone.scrapeTls" -}}
{{- with .Values.sidecar.tls.existingSecret -}}
scheme: https
tlsConfig:
  serverName: {{ include "ledgerstone.fullname" $ }}.{{ $.Release.Namespace }}.svc
  ca:
    secret: { name: {{ . }}, key: ca.crt }
  {{- with $.Values.sidecar.tls.clientSecret }}
  cert:
    secret: { name: {{ . }}, key: tls.crt }
  keySecret: { name: {{ . }}, key: tls.key }
  {{- end }}
{{- end -}}
{{- end -}}

{{- /* What a client in this namespace checks the sidecar against, and shows it. */ -}}
{{- define "ledgerstone.clientTlsVolume" -}}
{{- if .Values.sidecar.tls.existingSecret -}}
- name: client-tls
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .Values.sidecar.tls.existingSecret }}
          items:
            - { key: ca.crt, path: ca.crt }
      {{- with .Values.sidecar.tls.clientSecret }}
      - secret:
          name: {{ . }}
          items:
            - { key: tls.crt, path: tls.crt }
            - { key: tls.key, path: tls.key }
      {{- end }}
{{- end -}}
{{- end -}}

{{- define "ledgerstone.origin" -}}
{{- default (printf "%s.%s.svc/decisions" (include "ledgerstone.fullname" .) .Release.Namespace) .Values.log.origin -}}
{{- end -}}

{{- define "ledgerstone.replicas" -}}
{{- if eq .Values.workload.kind "StatefulSet" }}{{ .Values.workload.replicas }}{{ else }}1{{ end -}}
{{- end -}}

{{- define "ledgerstone.configMapName" -}}
{{- default (printf "%s-config" (include "ledgerstone.fullname" .)) .Values.config.existingConfigMap -}}
{{- end -}}

{{- define "ledgerstone.claimName" -}}
{{- default (printf "%s-store" (include "ledgerstone.fullname" .)) .Values.store.existingClaim -}}
{{- end -}}

{{- define "ledgerstone.policyConfigMapName" -}}
{{- default (printf "%s-trust" (include "ledgerstone.fullname" .)) .Values.audit.existingConfigMap -}}
{{- end -}}

{{- define "ledgerstone.hasPolicy" -}}
{{- if or .Values.audit.policy .Values.audit.existingConfigMap }}true{{ end -}}
{{- end -}}

{{- define "ledgerstone.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* What Pod Security's level `restricted` asks of a container, and a root file system that cannot be written. */ -}}
{{- define "ledgerstone.restricted" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* The pod's part. OnRootMismatch, because a change of every file's mode at each start would open key files to their group. */ -}}
{{- define "ledgerstone.podSecurityContext" -}}
runAsNonRoot: true
fsGroup: {{ .Values.securityContext.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* Containers and pods of the verifier: a user of its own, no token, no service variables. */ -}}
{{- define "ledgerstone.auditPod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with include "ledgerstone.imagePullSecrets" . | trim }}
{{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.securityContext.runAsUser }}
  runAsGroup: {{ .Values.securityContext.runAsGroup }}
  fsGroup: {{ .Values.securityContext.fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- /* Refuses what no schema can: values that contradict each other. */ -}}
{{- define "ledgerstone.check" -}}
{{- if and (eq .Values.keys.source "secret") (not .Values.keys.existingSecret) -}}
{{- fail "keys.source is secret: name the Secret in keys.existingSecret" -}}
{{- end -}}
{{- if and .Values.store.existingClaim (eq .Values.workload.kind "StatefulSet") -}}
{{- fail "store.existingClaim is for a Deployment: a StatefulSet has a claim for each pod" -}}
{{- end -}}
{{- if and .Values.sidecar.tls.clients (not .Values.sidecar.tls.existingSecret) -}}
{{- fail "sidecar.tls.clients asks callers for certificates, and there is no TLS: name the Secret in sidecar.tls.existingSecret" -}}
{{- end -}}
{{- if and .Values.sidecar.tls.clients (not .Values.sidecar.tls.clientSecret) (or .Values.audit.verify.enabled (and .Values.tests.enabled .Values.workload.enabled)) -}}
{{- fail "sidecar.tls.clients: name the Secret with a client's certificate for `helm test` and the verification Job in sidecar.tls.clientSecret, or set tests.enabled=false" -}}
{{- end -}}
{{- if and .Values.injector.only (not .Values.injector.enabled) -}}
{{- fail "injector.only leaves nothing to install: set injector.enabled too" -}}
{{- end -}}
{{- if and .Values.model.existingConfigMap .Values.model.existingClaim -}}
{{- fail "model.existingConfigMap and model.existingClaim are both set: the model's files come from one of them" -}}
{{- end -}}
{{- if and (or .Values.audit.verify.enabled .Values.audit.recompute.enabled) .Values.audit.policy .Values.audit.existingConfigMap -}}
{{- fail "audit.policy and audit.existingConfigMap are both set: the keys to trust come from one of them" -}}
{{- end -}}
{{- if and .Values.audit.recompute.enabled (not .Values.audit.recompute.existingClaim) -}}
{{- fail "audit.recompute.enabled: name the claim with the bundles in audit.recompute.existingClaim" -}}
{{- end -}}
{{- if and .Values.audit.recompute.enabled (not (include "ledgerstone.hasPolicy" .)) -}}
{{- fail "audit.recompute.enabled: without keys to trust nothing can be verified; set audit.policy or audit.existingConfigMap" -}}
{{- end -}}
{{- if and .Values.audit.recompute.enabled (eq .Values.audit.recompute.device "cuda") (not .Values.audit.recompute.image.repository) -}}
{{- fail "audit.recompute.device is cuda: name an image that was built for it in audit.recompute.image.repository (docs/gpu.md)" -}}
{{- end -}}
{{- end -}}
