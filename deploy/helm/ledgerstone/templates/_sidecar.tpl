{{- /*
The sidecar for a workload of one's own. The chart is a dependency with workload.enabled=false; in the pod template stand

  metadata:
    labels:
      {{- include "ledgerstone.podLabels" .Subcharts.ledgerstone | nindent 8 }}
    annotations:
      {{- include "ledgerstone.podAnnotations" .Subcharts.ledgerstone | nindent 8 }}
  spec:
    enableServiceLinks: false
    securityContext:
      {{- include "ledgerstone.podSecurityContext" .Subcharts.ledgerstone | nindent 8 }}
    initContainers:
      {{- include "ledgerstone.sidecar" .Subcharts.ledgerstone | nindent 8 }}
    volumes:
      {{- include "ledgerstone.volumes" .Subcharts.ledgerstone | nindent 8 }}

and the model server listens on 127.0.0.1:{{ model.port }}.
*/ -}}
{{- define "ledgerstone.sidecar" -}}
{{- include "ledgerstone.check" . -}}
{{- if or (eq .Values.keys.source "volume") .Values.createLog -}}
- name: {{ .Values.sidecar.name }}-init
  image: {{ include "ledgerstone.image" (dict "image" .Values.image "chart" .Chart) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [init, --if-absent]
  {{- include "ledgerstone.environment" . | nindent 2 }}
  {{- include "ledgerstone.mounts" . | nindent 2 }}
  resources:
    {{- toYaml .Values.sidecar.resources | nindent 4 }}
  securityContext:
    {{- include "ledgerstone.sidecarSecurityContext" . | nindent 4 }}
{{ end -}}
- name: {{ .Values.sidecar.name }}
  image: {{ include "ledgerstone.image" (dict "image" .Values.image "chart" .Chart) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  # A native sidecar: it starts before the model server and ends after it.
  restartPolicy: Always
  args: [run]
  ports:
    - name: grpc
      containerPort: {{ .Values.sidecar.ports.grpc }}
      protocol: TCP
    - name: http
      containerPort: {{ .Values.sidecar.ports.http }}
      protocol: TCP
    - name: admin
      containerPort: {{ .Values.sidecar.ports.admin }}
      protocol: TCP
  {{- include "ledgerstone.environment" . | nindent 2 }}
  {{- include "ledgerstone.mounts" . | nindent 2 }}
  # The model server starts once the log is recovered.
  startupProbe:
    httpGet: { path: /ready, port: admin, scheme: {{ include "ledgerstone.scheme" . | upper }} }
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: {{ .Values.sidecar.startupSeconds }}
  # Not ready means that no decision can be recorded: the pod gets no traffic.
  readinessProbe:
    httpGet: { path: /ready, port: admin, scheme: {{ include "ledgerstone.scheme" . | upper }} }
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: 2
  # Fails only where a restart is the remedy.
  livenessProbe:
    httpGet: { path: /live, port: admin, scheme: {{ include "ledgerstone.scheme" . | upper }} }
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  resources:
    {{- toYaml .Values.sidecar.resources | nindent 4 }}
  securityContext:
    {{- include "ledgerstone.sidecarSecurityContext" . | nindent 4 }}
{{- end -}}

{{- define "ledgerstone.sidecarSecurityContext" -}}
{{- include "ledgerstone.restricted" . }}
runAsUser: {{ .Values.securityContext.runAsUser }}
runAsGroup: {{ .Values.securityContext.runAsGroup }}
{{- end -}}

{{- define "ledgerstone.environment" -}}
{{- $each := eq .Values.workload.kind "StatefulSet" -}}
{{- $keys := ternary "/var/lib/ledgerstone/keys" "/etc/ledgerstone/keys" (eq .Values.keys.source "volume") -}}
{{- $own := ternary "$(POD_NAME)." "" (and $each (eq .Values.keys.source "secret")) -}}
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: LEDGERSTONE_CONFIG
    value: /etc/ledgerstone/config/sidecar.toml
  - name: LEDGERSTONE_LOG_FORMAT
    value: {{ .Values.sidecar.logFormat }}
  - name: LEDGERSTONE_LOG_FILTER
    value: {{ .Values.sidecar.logFilter | quote }}
  - name: LEDGERSTONE_LOG_ORIGIN
    value: {{ include "ledgerstone.origin" . }}{{ if $each }}/$(POD_NAME){{ end }}
  - name: LEDGERSTONE_LOG_STORE
    value: /var/lib/ledgerstone/log
  - name: LEDGERSTONE_LOG_KEY_FILE
    value: {{ $keys }}/{{ $own }}log.key
  {{- if eq .Values.keys.provider "file" }}
  - name: LEDGERSTONE_KEYS_FILE
    value: {{ $keys }}/{{ $own }}records.key
  {{- end }}
  {{- if .Values.keys.receipt }}
  - name: LEDGERSTONE_RECEIPT_KEY_FILE
    value: {{ $keys }}/{{ $own }}receipts.key
  {{- end }}
  # The same after every restart, because a session that ended without a stop is named by its writer's next one.
  - name: LEDGERSTONE_WRITER_NAME
    value: {{ if $each }}$(POD_NAME){{ else }}{{ include "ledgerstone.fullname" . }}{{ end }}
  - name: LEDGERSTONE_UPSTREAM_ADDRESS
    value: http://127.0.0.1:{{ .Values.model.port }}
  - name: LEDGERSTONE_UPSTREAM_LOCAL_ONLY
    value: require
  - name: LEDGERSTONE_SERVER_LISTEN
    value: 0.0.0.0:{{ .Values.sidecar.ports.grpc }}
  - name: LEDGERSTONE_SERVER_HTTP_LISTEN
    value: 0.0.0.0:{{ .Values.sidecar.ports.http }}
  - name: LEDGERSTONE_SERVER_ADMIN_LISTEN
    value: 0.0.0.0:{{ .Values.sidecar.ports.admin }}
  - name: LEDGERSTONE_SERVER_DRAIN_DEADLINE
    value: {{ .Values.sidecar.drainDeadline }}
  {{- if .Values.sidecar.registry }}
  - name: LEDGERSTONE_REGISTRY_LISTEN
    value: 127.0.0.1:7453
  {{- end }}
  {{- if .Values.sidecar.recorder }}
  - name: LEDGERSTONE_RECORDER_LISTEN
    value: 127.0.0.1:7454
  {{- end }}
  {{- if .Values.sidecar.tls.existingSecret }}
  - name: LEDGERSTONE_SERVER_TLS_CERT
    value: /etc/ledgerstone/tls/tls.crt
  - name: LEDGERSTONE_SERVER_TLS_KEY
    value: /etc/ledgerstone/tls/tls.key
  {{- if .Values.sidecar.tls.clients }}
  - name: LEDGERSTONE_SERVER_TLS_CLIENT_CA_FILE
    value: /etc/ledgerstone/tls/ca.crt
  {{- end }}
  {{- end }}
  {{- with .Values.sidecar.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.sidecar.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ledgerstone.mounts" -}}
volumeMounts:
  - name: ledgerstone-store
    mountPath: /var/lib/ledgerstone
  - name: ledgerstone-config
    mountPath: /etc/ledgerstone/config
    readOnly: true
  {{- if eq .Values.keys.source "secret" }}
  - name: ledgerstone-keys
    mountPath: /etc/ledgerstone/keys
    readOnly: true
  {{- end }}
  {{- if .Values.sidecar.tls.existingSecret }}
  - name: ledgerstone-tls
    mountPath: /etc/ledgerstone/tls
    readOnly: true
  {{- end }}
  {{- if .Values.workload.enabled }}
  # The model's files, so that every record names the digest of what is served.
  - name: model
    mountPath: /mnt/models
    readOnly: true
  {{- end }}
  {{- with .Values.sidecar.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* The volumes of the sidecar. A StatefulSet's store comes from its volumeClaimTemplates ("ledgerstone.volumeClaimTemplates"). */ -}}
{{- define "ledgerstone.volumes" -}}
- name: ledgerstone-config
  configMap:
    name: {{ include "ledgerstone.configMapName" . }}
{{- if ne .Values.workload.kind "StatefulSet" }}
- name: ledgerstone-store
  persistentVolumeClaim:
    claimName: {{ include "ledgerstone.claimName" . }}
{{- end }}
{{- if eq .Values.keys.source "secret" }}
- name: ledgerstone-keys
  secret:
    secretName: {{ .Values.keys.existingSecret }}
    # With fsGroup it becomes 0440: the sidecar reads it by its group, and refuses a key that more can read.
    defaultMode: 0400
{{- end }}
{{- with .Values.sidecar.tls.existingSecret }}
- name: ledgerstone-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0400
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ledgerstone.volumeClaimTemplates" -}}
- metadata:
    name: ledgerstone-store
    labels:
      {{- include "ledgerstone.selectorLabels" . | nindent 6 }}
    {{- with .Values.store.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    {{- include "ledgerstone.claimSpec" . | nindent 4 }}
{{- end -}}

{{- define "ledgerstone.claimSpec" -}}
accessModes:
  {{- toYaml .Values.store.accessModes | nindent 2 }}
{{- with .Values.store.storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.store.size }}
{{- end -}}

{{- /* Pods start anew when the configuration changes; the sidecar reads it at its start alone. */ -}}
{{- define "ledgerstone.podAnnotations" -}}
{{- if not .Values.config.existingConfigMap -}}
ledgerstone.io/config-digest: {{ .Values.config.text | sha256sum }}
{{ end -}}
kubectl.kubernetes.io/default-logs-container: {{ .Values.sidecar.name }}
{{- end -}}
