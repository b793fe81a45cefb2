{{- define "exporter.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Labels that never change, by which Services and monitors select pods: (dict "root" $ "component" NAME) */}}
{{- define "exporter.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "exporter.labels" -}}
{{ include "exporter.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "exporter.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "exporter.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "exporter.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* URL of the exporter inside its namespace. */}}
{{- define "exporter.url" -}}
{{ ternary "https" "http" (hasKey .Values.files "web.config.file") }}://{{ include "exporter.name" . }}:{{ .Values.service.port }}
{{- end }}

{{/* "true" if an option is in `config`, `files`, `extraEnv` or `extraArgs`: (dict "root" $ "option" KEY) */}}
{{- define "exporter.isSet" -}}
{{- $values := .root.Values -}}
{{- $variable := printf "AIRFLOW_EXPORTER_%s" (.option | replace "." "_" | upper) -}}
{{- $flag := printf "--%s=" (.option | replace "_" "-") -}}
{{- $section := splitList "." .option -}}
{{- $found := or (hasKey $values.files .option) (dig (first $section) (last $section) "" $values.config) -}}
{{- range $values.extraEnv }}{{ if eq .name $variable }}{{ $found = true }}{{ end }}{{ end -}}
{{- range $values.extraArgs }}{{ if hasPrefix $flag . }}{{ $found = true }}{{ end }}{{ end -}}
{{- if $found }}true{{ end -}}
{{- end }}

{{/* Refuses what the exporter would not start with, as exporter/config/combinations.py does. */}}
{{- define "exporter.checkConfig" -}}
{{- $user := include "exporter.isSet" (dict "root" . "option" "airflow.username") -}}
{{- $password := include "exporter.isSet" (dict "root" . "option" "airflow.password_file") -}}
{{- $password = or $password (include "exporter.isSet" (dict "root" . "option" "airflow.password")) -}}
{{- if and $user (not $password) -}}
{{- fail "config.airflow.username needs files.airflow.password_file: the Secret with the password of this user" -}}
{{- else if and $password (not $user) -}}
{{- fail "files.airflow.password_file needs config.airflow.username: the user that has this password" -}}
{{- end -}}
{{- range $section, $url := dict "celery" "broker_url" "database" "url" -}}
{{- $option := printf "%s.%s" $section $url -}}
{{- $file := include "exporter.isSet" (dict "root" $ "option" (printf "%s_file" $option)) -}}
{{- if not (or (empty (get $.Values.config $section)) $file (include "exporter.isSet" (dict "root" $ "option" $option))) -}}
{{- fail (printf "config.%s needs files.%s_file: the Secret with the URL" $section $option) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The file of the exporter: what the chart decides, and the configuration of the values. */}}
{{- define "exporter.config" -}}
{{- include "exporter.checkConfig" . -}}
{{- $fixed := dict "collector" (dict "host" false "statsd" .Values.statsd.enabled) "state" (dict "file" "/var/lib/airflow-exporter/state.sqlite") -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $fixed) -}}
{{- end }}

{{/* Environment variables with the paths of files: (dict "files" FILES) */}}
{{- define "exporter.fileVariables" -}}
{{- range $option, $_ := .files }}
- name: AIRFLOW_EXPORTER_{{ $option | replace "." "_" | upper }}
  value: /run/secrets/exporter/{{ $option }}
{{- end }}
{{- end }}

{{/* The volume with all files: (dict "files" FILES) */}}
{{- define "exporter.fileVolume" -}}
- name: files
  projected:
    defaultMode: 0440
    sources:
      {{- range $option, $file := .files }}
      {{- if $file.secret }}
      - secret:
          name: {{ $file.secret }}
      {{- else }}
      - configMap:
          name: {{ $file.configMap }}
      {{- end }}
          items: [{key: {{ $file.key | quote }}, path: {{ $option }}}]
      {{- end }}
{{- end }}

{{/* Probes. `probe` of the exporter also knows TLS, client certificates and passwords: (dict "exec" BOOL) */}}
{{- define "exporter.probes" -}}
startupProbe:
  {{- include "exporter.probe" (dict "exec" .exec "path" "/-/healthy") | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 30
livenessProbe:
  {{- include "exporter.probe" (dict "exec" .exec "path" "/-/healthy") | nindent 2 }}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  {{- include "exporter.probe" (dict "exec" .exec "path" "/-/ready") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{- define "exporter.probe" -}}
{{- if .exec -}}
exec: {command: [airflow-exporter, probe]}
{{- else -}}
httpGet: {path: {{ .path }}, port: http}
{{- end -}}
{{- end }}

{{/* Fields of a pod that both workloads have: (dict "root" $ "pod" VALUES) */}}
{{- define "exporter.pod" -}}
serviceAccountName: {{ include "exporter.serviceAccount" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with index $.pod $field }}
{{ $field }}: {{- if kindIs "string" . }} {{ . }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
securityContext:
  {{- toYaml .pod.podSecurityContext | nindent 2 }}
{{- end }}

{{/* Refuses what Prometheus Operator does: it leaves out a monitor whose timeout is longer than its interval. */}}
{{- define "exporter.checkMonitors" -}}
{{- with .Values.monitors -}}
{{- if gt (int64 (include "exporter.milliseconds" .scrapeTimeout)) (int64 (include "exporter.milliseconds" .interval)) -}}
{{- fail (printf "monitors.scrapeTimeout (%s) is longer than monitors.interval (%s): Prometheus Operator would ignore the monitors; set a shorter scrapeTimeout" .scrapeTimeout .interval) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A duration in milliseconds. */}}
{{- define "exporter.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
{{- $sum = add $sum (mul (regexFind "[1-9][0-9]*|0$" (regexFind "[0-9]+" .)) (get $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end }}

{{/* The path of the metrics, which a flag may set: (dict "args" ARGUMENTS "path" PATH) */}}
{{- define "exporter.path" -}}
{{- $path := .path -}}
{{- range .args -}}
{{- if hasPrefix "--web.telemetry-path=" . -}}{{- $path = trimPrefix "--web.telemetry-path=" . -}}{{- end -}}
{{- end -}}
{{- $path -}}
{{- end }}

{{/* An endpoint of a monitor that sets the labels of the identity: (dict "root" $ "port" NAME "path" PATH "relabelings" LIST) */}}
{{- define "exporter.endpoint" -}}
- port: {{ .port }}
  path: {{ .path }}
  interval: {{ .root.Values.monitors.interval }}
  scrapeTimeout: {{ .root.Values.monitors.scrapeTimeout }}
  {{- with .root.Values.monitors.endpoint }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  relabelings:
    {{- range $label, $value := .root.Values.identity }}
    - {action: replace, targetLabel: {{ $label }}, replacement: {{ $value | quote }}}
    {{- end }}
    {{- range .relabelings }}
    - {{ toYaml . | nindent 6 | trim }}
    {{- end }}
    {{- with .root.Values.monitors.relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Labels of the identity besides `airflow`, as JSON. */}}
{{- define "exporter.further" -}}
{{ toJson (without (keys .Values.identity | sortAlpha) "airflow") }}
{{- end }}

{{/* Text whose marked places are written once for each further label: (dict "text" TEXT "places" LIST "further" LIST) */}}
{{- define "exporter.identify" -}}
{{- $text := .text -}}
{{- range $place := .places -}}
{{- $written := "" -}}
{{- range $label := $.further -}}
{{- $written = print $written (replace "FURTHER" $label $place) -}}
{{- end -}}
{{- $text = replace $place $written $text -}}
{{- end -}}
{{- $text -}}
{{- end }}
