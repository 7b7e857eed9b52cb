{{- /* One index a log, read over HTTP: what a reader outside sees. */ -}}
{{- define "ledgerstone.verifyJobSpec" -}}
{{- $name := include "ledgerstone.fullname" . -}}
{{- $each := eq .Values.workload.kind "StatefulSet" -}}
{{- $logs := int (default (include "ledgerstone.replicas" .) (ternary "" (toString .Values.audit.verify.logs) (eq (int .Values.audit.verify.logs) 0))) -}}
completionMode: Indexed
completions: {{ $logs }}
parallelism: {{ min $logs (int .Values.audit.verify.parallelism) }}
{{ include "ledgerstone.retries" "verify" }}
template:
  metadata:
    labels:
      {{- include "ledgerstone.labels" . | nindent 6 }}
      app.kubernetes.io/component: verify
      ledgerstone.io/audits: {{ $name }}
  spec:
    restartPolicy: Never
    {{- include "ledgerstone.auditPod" . | nindent 4 }}
    containers:
      - name: verify
        image: {{ include "ledgerstone.image" (dict "image" .Values.verifierImage "chart" .Chart) }}
        imagePullPolicy: {{ .Values.verifierImage.pullPolicy }}
        args:
          - verify
          - log
          {{- if $each }}
          - {{ include "ledgerstone.scheme" . }}://{{ $name }}-$(JOB_COMPLETION_INDEX).{{ $name }}-pods.{{ .Release.Namespace }}.svc:{{ .Values.sidecar.ports.http }}
          {{- else }}
          - {{ include "ledgerstone.scheme" . }}://{{ $name }}.{{ .Release.Namespace }}.svc:{{ .Values.service.httpPort }}
          {{- end }}
          - --policy=/etc/ledgerstone/trust/log.policy
          {{- if .Values.sidecar.tls.existingSecret }}
          - --ca-file=/etc/ledgerstone/tls/ca.crt
          {{- end }}
          {{- if .Values.sidecar.tls.clientSecret }}
          - --cert-file=/etc/ledgerstone/tls/tls.crt
          - --key-file=/etc/ledgerstone/tls/tls.key
          {{- end }}
        resources:
          {{- toYaml .Values.audit.verify.resources | nindent 10 }}
        securityContext:
          {{- include "ledgerstone.restricted" . | nindent 10 }}
        volumeMounts:
          - name: trust
            mountPath: /etc/ledgerstone/trust
            readOnly: true
          {{- if .Values.sidecar.tls.existingSecret }}
          - name: client-tls
            mountPath: /etc/ledgerstone/tls
            readOnly: true
          {{- end }}
    volumes:
      - name: trust
        configMap:
          name: {{ include "ledgerstone.policyConfigMapName" . }}
      {{- with include "ledgerstone.clientTlsVolume" . }}
      {{- . | nindent 6 }}
      {{- end }}
{{- end -}}

{{- /* One index a bundle. An interrupted run goes on where it was, so the results lie in the claim. */ -}}
{{- define "ledgerstone.recomputeJobSpec" -}}
{{- $audit := .Values.audit.recompute -}}
{{- $image := ternary $audit.image .Values.verifierImage (ne $audit.image.repository "") -}}
completionMode: Indexed
completions: {{ $audit.bundles }}
parallelism: {{ min (int $audit.bundles) (int $audit.parallelism) }}
{{ include "ledgerstone.retries" "recompute" }}
template:
  metadata:
    labels:
      {{- include "ledgerstone.labels" . | nindent 6 }}
      app.kubernetes.io/component: recompute
  spec:
    restartPolicy: Never
    {{- include "ledgerstone.auditPod" . | nindent 4 }}
    {{- with $audit.runtimeClassName }}
    runtimeClassName: {{ . }}
    {{- end }}
    containers:
      - name: recompute
        image: {{ include "ledgerstone.image" (dict "image" $image "chart" .Chart) }}
        imagePullPolicy: {{ $image.pullPolicy }}
        args:
          - audit
          - run
          - /bundles/{{ $audit.bundle }}
          - --output=/bundles/{{ $audit.results }}
          - --policy=/etc/ledgerstone/trust/log.policy
          - --device={{ $audit.device }}
          {{- if $audit.registered }}
          - --registered
          {{- end }}
          {{- if $audit.identitySecret }}
          - --identity=/etc/ledgerstone/identity/identity
          {{- end }}
        resources:
          {{- $resources := deepCopy $audit.resources }}
          {{- if eq $audit.device "cuda" }}
          {{- $resources = mergeOverwrite $resources (dict "limits" (dict "nvidia.com/gpu" (int $audit.gpus))) }}
          {{- end }}
          {{- toYaml $resources | nindent 10 }}
        securityContext:
          {{- include "ledgerstone.restricted" . | nindent 10 }}
        volumeMounts:
          - name: bundles
            mountPath: /bundles
          - name: trust
            mountPath: /etc/ledgerstone/trust
            readOnly: true
          {{- if $audit.identitySecret }}
          - name: identity
            mountPath: /etc/ledgerstone/identity
            readOnly: true
          {{- end }}
          - name: tmp
            mountPath: /tmp
    volumes:
      - name: bundles
        persistentVolumeClaim:
          claimName: {{ $audit.existingClaim }}
      - name: trust
        configMap:
          name: {{ include "ledgerstone.policyConfigMapName" . }}
      {{- with $audit.identitySecret }}
      - name: identity
        secret:
          secretName: {{ . }}
          defaultMode: 0400
      {{- end }}
      - name: tmp
        emptyDir:
          sizeLimit: 1Gi
    {{- with $audit.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $audit.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end -}}

{{- /* A verdict is final (1 failed, 2 could not decide, 64 usage, 65 malformed); a lost node is tried again. */ -}}
{{- define "ledgerstone.retries" -}}
backoffLimitPerIndex: 3
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    - action: FailIndex
      onExitCodes:
        containerName: {{ . }}
        operator: In
        values: [1, 2, 64, 65]
ttlSecondsAfterFinished: 1209600
{{- end -}}
