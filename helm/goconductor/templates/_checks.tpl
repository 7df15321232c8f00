{{/* Values that contradict each other are refused here, with the place and the remedy. Called with (dict "root" $ "name" … "workload" …). */}}
{{- define "goconductor.check" -}}
{{- $place := ternary "server" (printf "participants.%s" .name) (eq .name "server") -}}
{{- $settings := include "goconductor.settings" . | fromYaml -}}
{{- $drain := dig "participant" "drain_seconds" 20.0 $settings | float64 -}}
{{- $before := ternary .workload.preStopSeconds 0 (not (empty (include "goconductor.service" .))) | float64 -}}
{{- $needed := addf $drain $before 10 -}}
{{- if le (float64 .workload.terminationGracePeriodSeconds) $needed -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %v, but the drain may take %v s, leaving the Service %v s and the end ten: raise it above %v, or lower settings.participant.drain_seconds" $place .workload.terminationGracePeriodSeconds $drain $before $needed) -}}
{{- end -}}
{{- range $own, $instead := dict "health" "health.port" "metrics" "metrics.enabled and metrics.port" "rest" "server.rest" "database" "database.secret and database.schema" -}}
{{- if hasKey $settings $own -}}
{{- fail (printf "%s: settings.%s is the chart's: use the value %s" $place $own $instead) -}}
{{- end -}}
{{- end -}}
{{- if and $.root.Values.wrappingKeys.secret.name (hasKey $settings "secrets") -}}
{{- fail (printf "%s: settings.secrets is the chart's where wrappingKeys.secret.name is set: use one of them" $place) -}}
{{- end -}}
{{- $bus := dig "bus" "url" "" $settings -}}
{{- $endpoint := dig "traces" "endpoint" "" $settings -}}
{{- if or (include "goconductor.hasSecrets" $bus) (include "goconductor.hasSecrets" $endpoint) -}}
{{- fail (printf "%s: settings.bus.url and settings.traces.endpoint are secrets, and a ConfigMap is none: refer to a secret as ${secret:NAME}, or make a Secret, and name it in secretVariables.GOCONDUCTOR_BUS_URL or GOCONDUCTOR_TRACES_ENDPOINT" $place) -}}
{{- end -}}
{{- range $bus, $options := dig "bus" "others" dict $settings -}}
{{- $url := dig "url" "" $options -}}
{{- if include "goconductor.hasSecrets" $url -}}
{{- fail (printf "%s: settings.bus.others.%s.url is a secret, and a ConfigMap is none: refer to a secret as ${secret:NAME}, or make a Secret, and name it in secretVariables.GOCONDUCTOR_BUS_OTHERS__%s__URL" $place $bus (upper $bus)) -}}
{{- end -}}
{{- end -}}
{{- with .workload.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "%s.autoscaling: minReplicas is %v, more than maxReplicas, which is %v" $place .minReplicas .maxReplicas) -}}
{{- end -}}
{{- if and (or .stepsRunning .messagesWaiting) (not $.root.Values.metrics.enabled) -}}
{{- fail (printf "%s.autoscaling by our metrics needs them: set metrics.enabled, or scale by cpuPercent only" $place) -}}
{{- end -}}
{{- if not (or .cpuPercent .stepsRunning .messagesWaiting) -}}
{{- fail (printf "%s.autoscaling has nothing to scale by: set cpuPercent, stepsRunning or messagesWaiting" $place) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "goconductor.checkRelease" -}}
{{- if not .Values.database.secret.name -}}
{{- fail "database.secret.name is missing: make a Secret with the URL of the saga log, such as kubectl create secret generic sagas --from-literal=url=postgresql://…, and name it" -}}
{{- end -}}
{{- if hasKey .Values.secretVariables "GOCONDUCTOR_DATABASE_URL" -}}
{{- fail "secretVariables.GOCONDUCTOR_DATABASE_URL: name its Secret in database.secret, since the migration needs it too" -}}
{{- end -}}
{{- $ofServer := include "goconductor.settings" (dict "root" . "workload" .Values.server) | fromYaml -}}
{{- if and .Values.server.enabled .Values.server.rest.exposed (not (or .Values.server.rest.insecure (dig "auth" "enabled" false $ofServer))) -}}
{{- fail "server.rest.exposed: whoever reaches REST could start and abort every saga. Set settings.auth.enabled, so that each request needs an API key; or leave REST on loopback and use kubectl port-forward; or set server.rest.insecure as well and name who may come in server.rest.allowedFrom" -}}
{{- end -}}
{{- if le (int .Values.migrations.deadlineSeconds) (int .Values.migrations.waitSeconds) -}}
{{- fail (printf "migrations.deadlineSeconds is %v, and would end the Job while it still waits for the database (waitSeconds is %v): make it greater" .Values.migrations.deadlineSeconds .Values.migrations.waitSeconds) -}}
{{- end -}}
{{- $ports := list .Values.health.port -}}
{{- if .Values.metrics.enabled -}}{{- $ports = append $ports .Values.metrics.port -}}{{- end -}}
{{- if .Values.server.enabled -}}{{- $ports = append $ports .Values.server.rest.port -}}{{- end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- fail (printf "health.port, metrics.port and server.rest.port must differ, and are %v" $ports) -}}
{{- end -}}
{{- range $each := list "podMonitor" "alerts" "dashboard" -}}
{{- if and (get $.Values.metrics $each).enabled (not $.Values.metrics.enabled) -}}
{{- fail (printf "metrics.%s.enabled needs metrics.enabled: there is nothing to look at" $each) -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.server.enabled .Values.participants .Values.migrations.enabled) -}}
{{- fail "nothing is to be run: enable the server, or name participants" -}}
{{- end -}}
{{- end -}}

{{/* Says something where a URL may have a secret of its own: it refers to none, or has a password beside its references. */}}
{{- define "goconductor.hasSecrets" -}}
{{- $rest := regexReplaceAll "\\$\\{secret:[^}]*\\}" . "" -}}
{{- if and . (or (eq $rest .) (regexMatch "://[^/?#]*:[^/?#@]+@" $rest)) -}}yes{{- end -}}
{{- end -}}
