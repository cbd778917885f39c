// Lamplighter in Azure: the app, its storage, its monitoring, and the switch, which works without the app.
// The Azure OpenAI accounts exist already: the app gets rights on them, but they are never created or changed.
targetScope = 'subscription'

@description('The name of the azd environment. It marks the resource group and goes into every name.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of everything that is created.')
param location string

@description('Resource id of the Azure OpenAI account: the app setting AZURE_OPENAI_ACCOUNT_ID.')
@minLength(1)
param openAiAccountId string

@description('Resource ids of further accounts that deployments.yaml names, in any resource group.')
param moreOpenAiAccountIds array = []

@description('Object id of the person or group who may upload and read results. Empty: nobody yet.')
param uploaderId string = ''

@description('The address to which alerts are mailed. Empty: they are only shown in the portal.')
param alertEmail string = ''

@description('The app setting DEPLOYMENTS_FILE: the file that defines what to host.')
param deploymentsFile string = 'deployments.yaml'

@description('Days for which answered documents are kept in the container processed.')
@minValue(1)
param processedRetentionDays int = 90

@description('Copies of the storage account. Zone-redundant is safer, and not offered in every region.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS'])
param storageSku string = 'Standard_LRS'

@description('Memory of an instance of the app in MB. A region that refuses 512 takes 2048, at four times the price.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('Whether storage is reached from a private network only. It costs money each hour, and uploads come from inside.')
param vnetEnabled bool = false

@description('Whether there is an Event Grid topic for the events of notify in deployments.yaml.')
param eventTopic bool = false

@description('App settings whose values are in a Key Vault: for each name the URI of a secret. The app needs the right to read it.')
param keyVaultSecrets object = {}

var token = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var accountIds = concat([openAiAccountId], moreOpenAiAccountIds)

// The switch finds the installation by exactly this word, which the app writes into its tags.
var installation = loadYamlContent('../deployments.yaml', '.installation')

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module storage 'storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    sku: storageSku
    processedRetentionDays: processedRetentionDays
    uploaderId: uploaderId
    vnetEnabled: vnetEnabled
  }
}

module network 'network.bicep' = if (vnetEnabled) {
  name: 'network'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    storageName: storage.outputs.name
  }
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
  }
}

module identity 'identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    storageName: storage.outputs.name
    insightsName: monitoring.outputs.insightsName
  }
}

module events 'events.bicep' = if (eventTopic) {
  name: 'events'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    appPrincipalId: identity.outputs.principalId
  }
}

module app 'app.bicep' = {
  name: 'app'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    insightsName: monitoring.outputs.insightsName
    openAiAccountId: openAiAccountId
    deploymentsFile: deploymentsFile
    instanceMemoryMB: instanceMemoryMB
    subnetId: vnetEnabled ? network.outputs.appSubnetId : ''
    eventTopicEndpoint: eventTopic ? events.outputs.endpoint : ''
    keyVaultSecrets: keyVaultSecrets
  }
}

module switch 'switch.bicep' = {
  name: 'switch'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    installation: installation
    accountIds: accountIds
  }
}

// Accounts in several resource groups may have the same name, and several installations may share an account. So
// the names of nested deployments and roles are derived from the account's id.
module accountAccess 'account-access.bicep' = [
  for id in accountIds: {
    name: 'account-access-${uniqueString(id, token)}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      accountName: last(split(id, '/'))
      accountHash: uniqueString(id)
      token: token
      appPrincipalId: identity.outputs.principalId
      switchPrincipalId: switch.outputs.principalId
    }
  }
]

module alerts 'alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    insightsId: monitoring.outputs.insightsId
    switchId: switch.outputs.id
    email: alertEmail
  }
}

// What azd keeps in the environment, for the postdeploy hook and for people.
output AZURE_RESOURCE_GROUP string = group.name
output LAMPLIGHTER_APP string = app.outputs.name
output LAMPLIGHTER_URL string = app.outputs.url
output LAMPLIGHTER_STORAGE string = storage.outputs.name
output LAMPLIGHTER_TOPIC string = storage.outputs.topicName
output LAMPLIGHTER_EVENT_TOPIC string = eventTopic ? events.outputs.name : ''
