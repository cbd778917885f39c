// Notifications of the app's alerts, which are log lines of JSON with a stable event name.
param location string
param tags object
param token string
param insightsId string
param switchId string
param email string

// The app logs this at the end of every pass, and it makes a pass every minute.
var heartbeat = 'pass_done'

// Alerts that cost money or break a promise until a person acts.
var urgent = [
  'delete_refused'
  'delete_without_effect'
  'documents_wait'
  'inbox_behind'
  'not_answering'
  'session_past_cap'
  'settings_broken'
  'storage_refused'
  'unaccounted_documents'
  'window_not_ready'
]

// Alerts that a person should look at.
var attention = [
  'adopted'
  'capacity_reduced'
  'capacity_scarce'
  'capacity_too_small'
  'create_failed'
  'deleted_from_outside'
  'document_failed'
  'drain_failed'
  'events_dropped'
  'events_wait'
  'foreign_deployment'
  'model_access_denied'
  'model_refuses'
  'pass_failed'
  'source_unreadable'
  'target_unwritable'
  'twin_installation'
  'unknown_state'
]

// The app logs a lasting fault at once, and then once an hour: shared/alerts.py, Note [Equal alerts]. Each
// query looks back over two such lines, so an alert stays open without a break while its fault lasts: it notifies
// once, and not every hour. A query over the last minutes only would close and reopen it every hour.
var lookBack = 'PT2H'

var ourLines = 'traces | where message startswith \'{"event": \' | extend line = parse_json(message)'
var columns = 'project timestamp, event = tostring(line.event), deployment = tostring(line.deployment)'

resource notified 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'lamplighter'
    enabled: true
    emailReceivers: [
      {
        name: 'alerts'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

// The query returns a row with a zero even if there is no line at all, so that silence raises the alert.
resource noPass 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${token}-no-pass'
  location: location
  tags: tags
  properties: {
    displayName: 'Lamplighter: no pass for 15 minutes'
    description: 'The app makes no passes: nothing is created, answered or deleted. See docs/azure.md.'
    severity: 1
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: '${ourLines} | where tostring(line.event) == \'${heartbeat}\' | summarize passes = count()'
          metricMeasureColumn: 'passes'
          timeAggregation: 'Total'
          operator: 'LessThan'
          threshold: 1
        }
      ]
    }
    autoMitigate: true
    actions: { actionGroups: empty(email) ? [] : [notified.id] }
  }
}

resource events 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in [
    { name: 'urgent', severity: 1, every: 'PT5M', events: urgent }
    { name: 'attention', severity: 2, every: 'PT15M', events: attention }
  ]: {
    name: 'alert-${token}-${rule.name}'
    location: location
    tags: tags
    properties: {
      displayName: 'Lamplighter: ${rule.name}'
      description: 'The log line of the event that this alert names says what to do. See docs/azure.md.'
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: rule.every
      windowSize: lookBack
      criteria: {
        allOf: [
          {
            query: '${ourLines} | where tostring(line.event) in (dynamic(${string(rule.events)})) | ${columns}'
            timeAggregation: 'Count'
            dimensions: [
              { name: 'event', operator: 'Include', values: ['*'] }
              { name: 'deployment', operator: 'Include', values: ['*'] }
            ]
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      autoMitigate: true
      actions: { actionGroups: empty(email) ? [] : [notified.id] }
    }
  }
]

resource switchFails 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-${token}-switch'
  location: 'global'
  tags: tags
  properties: {
    description: 'The switch could not look at an account, or could not delete what is past its time.'
    severity: 2
    enabled: true
    scopes: [switchId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'failed'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Logic/workflows'
          metricName: 'RunsFailed'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: empty(email) ? [] : [{ actionGroupId: notified.id }]
  }
}
