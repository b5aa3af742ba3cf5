{{- define "itp.labels" -}}
app.kubernetes.io/name: itp-visits
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "itp.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}{{ end }}
{{- end }}

{{/* The environment of a part that works on the study. Each secret is a file. */}}
{{- define "itp.study" -}}
- {name: ITP_DATABASE_URL_FILE, value: /run/secrets/itp/database_url}
- {name: ITP_APPRISE_CONFIG, value: /run/secrets/itp/apprise}
- {name: ITP_SECRET_KEY_FILE, value: /run/secrets/itp/secret_key}
- {name: ITP_PREFECT_AUTH_FILE, value: /run/secrets/itp/prefect_auth}
- {name: ITP_PUBLIC_URL, value: {{ .Values.publicUrl | quote }}}
- {name: PREFECT_API_URL, value: "http://{{ .Release.Name }}-prefect:4200/api"}
{{- if .Values.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .Values.otlpEndpoint | quote }}}
{{- end }}
{{- if .Values.protocolConfigMap }}
- {name: ITP_PROTOCOL, value: /etc/itp/protocol}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "itp.prefect" -}}
- {name: ITP_PREFECT_DATABASE_URL_FILE, value: /run/secrets/itp/prefect_database_url}
- {name: ITP_PREFECT_REDIS_URL_FILE, value: /run/secrets/itp/prefect_redis_url}
- {name: ITP_PREFECT_AUTH_FILE, value: /run/secrets/itp/prefect_auth}
- {name: ITP_PREFECT_HOST, value: 0.0.0.0}
- {name: PREFECT_UI_API_URL, value: "{{ .Values.prefectPublicUrl }}/api"}
{{- end }}

{{/* The pod of a part: nobody's root, nothing writable but /data and /tmp, only the secrets it needs. */}}
{{- define "itp.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
# What has begun is ended first.
terminationGracePeriodSeconds: 45
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- if .spread }}
# Two of a kind stand on two machines where there are two.
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "itp.labels" . | nindent 8 }}
{{- end }}
volumes:
  - name: data
    emptyDir: {sizeLimit: 1Gi}
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
  - name: secrets
    secret:
      secretName: {{ .root.Values.secret }}
      defaultMode: 0440
      items:
        {{- range .secrets }}
        - {key: {{ . }}, path: {{ . }}}
        {{- end }}
  {{- if and .study .root.Values.protocolConfigMap }}
  - name: protocol
    configMap: {name: {{ .root.Values.protocolConfigMap }}}
  {{- end }}
  {{- if .backups }}
  - name: backups
    persistentVolumeClaim:
      claimName: {{ .root.Values.backup.existingClaim | default (printf "%s-backups" .root.Release.Name) }}
  {{- end }}
{{- end }}

{{- define "itp.container" -}}
image: {{ include "itp.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: data, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
  - {name: secrets, mountPath: /run/secrets/itp, readOnly: true}
  {{- if and .study .root.Values.protocolConfigMap }}
  - {name: protocol, mountPath: /etc/itp/protocol, readOnly: true}
  {{- end }}
  {{- if .backups }}
  - {name: backups, mountPath: /backups}
  {{- end }}
{{- end }}
