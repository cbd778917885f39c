// The Event Grid topic for the app's own events, if deployments.yaml sends them there (notify), and the app's right to
// send to it. Who receives them subscribes to this topic: docs/events.md.
param location string
param tags object
param token string
param appPrincipalId string

// Azure's id of the role EventGrid Data Sender.
var eventGridDataSender = 'd5a91429-5739-47e2-a06b-3470a27159e7'

resource topic 'Microsoft.EventGrid/topics@2025-02-15' = {
  // checkov:skip=CKV_AZURE_191:its own identity is for deliveries, and who subscribes chooses how these are made
  // checkov:skip=CKV_AZURE_193:a private endpoint costs money each hour; an address alone lets nobody send
  name: 'evgt-${token}-events'
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
  }
}

resource appSends 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: topic
  name: guid(topic.id, appPrincipalId, eventGridDataSender)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', eventGridDataSender)
  }
}

output name string = topic.name
output endpoint string = topic.properties.endpoint
