{{/* Variables with which a process reaches its database: the same for the migration and the workloads. */}}
{{- define "goconductor.databaseVariables" -}}
- name: GOCONDUCTOR_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.database.secret.name }}, key: {{ .Values.database.secret.key }}}
- name: GOCONDUCTOR_DATABASE_SCHEMA_NAME
  value: {{ .Values.database.schema | quote }}
{{- end -}}

{{/* What is said once about how each pod runs: as nobody in particular, with nothing to write to, asking the cluster for nothing. */}}
{{- define "goconductor.podSecurity" -}}
serviceAccountName: {{ .Values.serviceAccount.name }}
automountServiceAccountToken: false
# A Service called goconductor would write GOCONDUCTOR_PORT and others into every container.
enableServiceLinks: false
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The name of the Service before a workload; empty if there is none. Called with (dict "root" $ "name" … "workload" …). */}}
{{- define "goconductor.service" -}}
{{- if eq .name "server" -}}
{{- if .workload.rest.exposed -}}{{ include "goconductor.fullname" .root }}{{- end -}}
{{- else if .workload.service -}}
{{ .workload.service.name | default (printf "%s-%s" (include "goconductor.fullname" .root) .name) }}
{{- end -}}
{{- end -}}

{{/* The pod of a workload. Called with (dict "root" $ "name" … "workload" …). */}}
{{- define "goconductor.pod" -}}
{{- $values := .root.Values -}}
{{- $isServer := eq .name "server" -}}
metadata:
  labels:
    {{- include "goconductor.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
    {{- with .workload.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Pods are replaced when the settings change, which are read at the start only.
    checksum/settings: {{ include "goconductor.settings" . | sha256sum }}
    {{- with .workload.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "goconductor.podSecurity" .root | nindent 2 }}
  terminationGracePeriodSeconds: {{ .workload.terminationGracePeriodSeconds }}
  {{- with .workload.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .workload.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .workload.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .workload.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .workload.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "goconductor.selector" $.root | nindent 10 }}
          app.kubernetes.io/component: {{ $.name }}
      {{- end }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .name }}
      image: {{ include "goconductor.image" (dict "root" .root "image" .workload.image "for" (ternary "the server" (printf "participants.%s" .name) $isServer)) }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      {{- with .workload.command }}
      command: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .workload.args }}
      args: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext: {{- toYaml $values.containerSecurityContext | nindent 8 }}
      env:
        {{- include "goconductor.databaseVariables" .root | nindent 8 }}
        - {name: GOCONDUCTOR_CONFIG, value: /etc/goconductor/goconductor.yaml}
        - {name: GOCONDUCTOR_HEALTH_HOST, value: "0.0.0.0"}
        - {name: GOCONDUCTOR_HEALTH_PORT, value: {{ $values.health.port | quote }}}
        {{- if $values.metrics.enabled }}
        - {name: GOCONDUCTOR_METRICS_HOST, value: "0.0.0.0"}
        - {name: GOCONDUCTOR_METRICS_INSECURE, value: "true"}
        - {name: GOCONDUCTOR_METRICS_PORT, value: {{ $values.metrics.port | quote }}}
        {{- end }}
        {{- if $values.wrappingKeys.secret.name }}
        - {name: GOCONDUCTOR_SECRETS_KIND, value: file}
        - {name: GOCONDUCTOR_SECRETS_OPTIONS__PATH, value: /etc/goconductor-keys/{{ $values.wrappingKeys.secret.key }}}
        {{- end }}
        {{- if $isServer }}
        {{- if .workload.rest.exposed }}
        - {name: GOCONDUCTOR_REST_HOST, value: "0.0.0.0"}
        {{- if .workload.rest.insecure }}
        - {name: GOCONDUCTOR_REST_INSECURE, value: "true"}
        {{- end }}
        {{- end }}
        - {name: GOCONDUCTOR_REST_PORT, value: {{ .workload.rest.port | quote }}}
        {{- end }}
        {{- range $variable, $secret := mergeOverwrite (deepCopy $values.secretVariables) (deepCopy (.workload.secretVariables | default dict)) }}
        - name: {{ $variable }}
          valueFrom:
            secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}
        {{- end }}
        # Nothing can be written but /tmp.
        - {name: PYTHONDONTWRITEBYTECODE, value: "1"}
        {{- with concat $values.env (.workload.env | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: health, containerPort: {{ $values.health.port }}}
        {{- if $values.metrics.enabled }}
        - {name: metrics, containerPort: {{ $values.metrics.port }}}
        {{- end }}
        {{- if and $isServer .workload.rest.exposed }}
        - {name: rest, containerPort: {{ .workload.rest.port }}}
        {{- end }}
        {{- with .workload.ports }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      # A database that is away makes a process not ready. It lives all the same: a restart would not bring the database back.
      # The process itself takes five seconds until it reports that its event loop stands still.
      startupProbe:
        httpGet: {path: /livez, port: health}
        periodSeconds: 2
        timeoutSeconds: 6
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: health}
        periodSeconds: 10
        timeoutSeconds: 6
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: health}
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: 2
      {{- if and (include "goconductor.service" .) .workload.preStopSeconds }}
      lifecycle:
        preStop:
          exec: {command: [sleep, {{ .workload.preStopSeconds | quote }}]}
      {{- end }}
      {{- with .workload.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: settings, mountPath: /etc/goconductor, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if $values.wrappingKeys.secret.name }}
        - {name: wrapping-keys, mountPath: /etc/goconductor-keys, readOnly: true}
        {{- end }}
        {{- with .workload.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: settings
      configMap: {name: {{ include "goconductor.fullname" .root }}-{{ .name }}}
    - name: tmp
      emptyDir: {}
    {{- if $values.wrappingKeys.secret.name }}
    - name: wrapping-keys
      secret: {secretName: {{ $values.wrappingKeys.secret.name }}, defaultMode: 0440}
    {{- end }}
    {{- with .workload.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
