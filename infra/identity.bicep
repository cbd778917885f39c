// The app's identity, with its rights on its own storage and log. Its rights on the Azure OpenAI accounts are in
// account-access.bicep.
param location string
param tags object
param token string
param storageName string
param insightsName string

// Azure's ids of the roles of these names.
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // the role that the host's documentation requires for its storage
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88' // uploads and drains reach their functions through queues
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource storage 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${token}'
  location: location
  tags: tags
}

resource storageAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [blobDataOwner, queueDataContributor, tableDataContributor]: {
    scope: storage
    name: guid(storage.id, app.id, role)
    properties: {
      principalId: app.properties.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource logAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, app.id, monitoringMetricsPublisher)
  properties: {
    principalId: app.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
}

output id string = app.id
output clientId string = app.properties.clientId
output principalId string = app.properties.principalId
