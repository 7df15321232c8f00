{{- define "goconductor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "goconductor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "goconductor.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "goconductor.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "goconductor.selector" -}}
app.kubernetes.io/name: {{ include "goconductor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "goconductor.labels" -}}
{{ include "goconductor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The image of a workload: its own values, else the release's. Called with (dict "root" $ "image" own-or-nil "for" name). */}}
{{- define "goconductor.image" -}}
{{- $image := .image | default .root.Values.image -}}
{{- if not $image.repository -}}
{{- fail (printf "%s has no image: build one with the Dockerfile of the sources and set image.repository, as none is published" .for) -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else if $image.tag -}}
{{- printf "%s:%s" $image.repository $image.tag -}}
{{- else -}}
{{- fail (printf "%s has an image without a version: set tag or digest beside %s, so that all pods run the same" .for $image.repository) -}}
{{- end -}}
{{- end -}}

{{/* The release's workloads with all their values: {name: {…}} as YAML. The server is one of them. */}}
{{- define "goconductor.workloads" -}}
{{- $workloads := dict -}}
{{- if .Values.server.enabled -}}
{{- $own := dict "command" (list "goconductor" "serve") "image" nil "ports" list "autoscaling" (dict "enabled" false) -}}
{{- $_ := set $workloads "server" (mergeOverwrite (deepCopy .Values.defaults) $own (deepCopy .Values.server)) -}}
{{- end -}}
{{- range $name, $given := .Values.participants -}}
{{- if eq $name "server" -}}
{{- fail "participants.server: the server has this name in the chart; give the participant's workload another one" -}}
{{- end -}}
{{- $_ := set $workloads $name (mergeOverwrite (deepCopy $.Values.defaults) (deepCopy $.Values.participantDefaults) (deepCopy ($given | default dict))) -}}
{{- end -}}
{{- toYaml $workloads -}}
{{- end -}}

{{/* The settings of a workload, as goconductor.yaml has them. Called with (dict "root" $ "workload" its-values). */}}
{{- define "goconductor.settings" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.settings) (deepCopy (.workload.settings | default dict))) -}}
{{- end -}}
