// The function app, on Flex Consumption.
param location string
param tags object
param token string
param identityId string
param identityClientId string
param storageName string
param packageContainer string
param insightsName string
param openAiAccountId string
param deploymentsFile string
param instanceMemoryMB int
param subnetId string
param eventTopicEndpoint string
param keyVaultSecrets object

// Azure reads these values as the app's identity, so no parameter or template has them.
var secretSettings = [
  for each in items(keyVaultSecrets): { name: each.key, value: '@Microsoft.KeyVault(SecretUri=${each.value})' }
]
var eventSettings = empty(eventTopicEndpoint) ? [] : [{ name: 'EVENT_TOPIC_ENDPOINT', value: eventTopicEndpoint }]

resource storage 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225:a zone that fails costs minutes, since any instance continues from the records
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_222:Event Grid calls the webhook from the internet, and so do the API's users
  // checkov:skip=CKV_AZURE_17:neither Event Grid nor the API's users have certificates; both need a key
  // checkov:skip=CKV_AZURE_212:instances that wait for work cost money all day, which is what the app saves
  // checkov:skip=CKV_AZURE_78:Flex Consumption has no FTP and refuses a site that sets ftpsState
  // checkov:skip=CKV_AZURE_15:Azure gives a new app TLS 1.2 itself; Microsoft's template passes no siteConfig but settings
  // checkov:skip=CKV_AZURE_18:as above; the API works over HTTP 1.1
  // checkov:skip=CKV_AZURE_67:as above; the API works over HTTP 1.1
  // checkov:skip=CKV_AZURE_213:Flex Consumption has no health check; silence raises an alert (alerts.bicep)
  name: 'func-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    keyVaultReferenceIdentity: empty(keyVaultSecrets) ? null : identityId
    siteConfig: {
      appSettings: concat([
        // The host's own storage.
        { name: 'AzureWebJobsStorage__blobServiceUri', value: storage.properties.primaryEndpoints.blob }
        { name: 'AzureWebJobsStorage__queueServiceUri', value: storage.properties.primaryEndpoints.queue }
        { name: 'AzureWebJobsStorage__tableServiceUri', value: storage.properties.primaryEndpoints.table }
        { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
        { name: 'AzureWebJobsStorage__clientId', value: identityClientId }
        // Documents and records: the same account, by a connection of its own.
        { name: 'DOCUMENTS_STORAGE__blobServiceUri', value: storage.properties.primaryEndpoints.blob }
        { name: 'DOCUMENTS_STORAGE__queueServiceUri', value: storage.properties.primaryEndpoints.queue }
        { name: 'DOCUMENTS_STORAGE__tableServiceUri', value: storage.properties.primaryEndpoints.table }
        { name: 'DOCUMENTS_STORAGE__credential', value: 'managedidentity' }
        { name: 'DOCUMENTS_STORAGE__clientId', value: identityClientId }
        // The identity of the app that the SDKs use.
        { name: 'AZURE_CLIENT_ID', value: identityClientId }
        { name: 'AZURE_OPENAI_ACCOUNT_ID', value: openAiAccountId }
        { name: 'AZURE_RESOURCE_MANAGER_ENDPOINT', value: environment().resourceManager }
        { name: 'DEPLOYMENTS_FILE', value: deploymentsFile }
        { name: 'BLOB_SOURCE', value: 'EventGrid' }
        { name: 'RECONCILE_SCHEDULE', value: '0 * * * * *' }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights.properties.ConnectionString }
        { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${identityClientId};Authorization=AAD' }
      ], eventSettings, secretSettings)
    }
    functionAppConfig: {
      runtime: {
        name: 'python'
        version: '3.12'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: 40
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
    }
  }
}

// No publishing by password: azd deploys with an Entra token.
resource noPasswordScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

resource noPasswordFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
