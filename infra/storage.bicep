// The app's own storage: documents, records, the host's bookkeeping and the package, and the events of uploads.
param location string
param tags object
param token string
param sku string
param processedRetentionDays int
param uploaderId string
param vnetEnabled bool

// The app's containers. No rule below deletes from `files`, `taken` and `unpacked`: these files wait as those in `inbox` do. The host creates its own (azure-webjobs-*) itself.
var containers = ['inbox', 'results', 'processed', 'failed', 'checkpoints', 'staging', 'files', 'taken', 'unpacked', 'leases', 'config', 'deployments-last-good']
var tables = ['deployments', 'sessions', 'sources', 'decisions', 'documents', 'files', 'batches', 'workleases', 'sweeps', 'holds']
var packageContainer = 'app-package'

// Azure's ids of the roles of these names.
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var blobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  // checkov:skip=CKV_AZURE_35:people upload from any network; there are no keys, only Entra sign-in
  // checkov:skip=CKV_AZURE_59:as above; the parameter vnetEnabled closes it
  // checkov:skip=CKV_AZURE_206:the parameter storageSku decides it; the default is offered in every region
  // checkov:skip=CKV_AZURE_43:the check cannot resolve the name, which is st and 13 lower-case characters
  name: 'st${token}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: vnetEnabled ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: vnetEnabled ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource blobContainers 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = [
  for name in concat(containers, [packageContainer]): {
    parent: blobs
    name: name
    properties: { publicAccess: 'None' }
  }
]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2024-01-01' = {
  parent: account
  name: 'default'
}

resource storageTables 'Microsoft.Storage/storageAccounts/tableServices/tables@2024-01-01' = [
  for name in tables: {
    parent: tableService
    name: name
  }
]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' = {
  parent: account
  name: 'default'
}

// One message for each deployment that has documents to answer: Functions spreads them over instances.
resource drainQueue 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' = {
  parent: queueService
  name: 'drain'
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'delete-processed'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['processed/']
            }
            actions: {
              baseBlob: {
                delete: { daysAfterModificationGreaterThan: processedRetentionDays }
              }
            }
          }
        }
        {
          // The app deletes them when a document is finished; these are what a crash left behind.
          name: 'delete-checkpoints'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob', 'appendBlob']
              prefixMatch: ['checkpoints/', 'staging/']
            }
            actions: {
              baseBlob: {
                delete: { daysAfterModificationGreaterThan: 30 }
              }
            }
          }
        }
      ]
    }
  }
}

// The app's subscription to it is in blob-events.bicep, which needs the deployed code.
resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgt-${token}'
  location: location
  tags: tags
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

// The upload right: upload to, list and delete from the inbox, and read the outcomes.
resource inbox 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  parent: blobs
  name: 'inbox'
}

resource mayUpload 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(uploaderId)) {
  scope: inbox
  name: guid(account.id, 'inbox', uploaderId)
  properties: {
    principalId: uploaderId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
  }
  dependsOn: [blobContainers]
}

resource outcomes 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = [
  for name in ['results', 'failed']: {
    parent: blobs
    name: name
  }
]

resource mayRead 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in ['results', 'failed']: if (!empty(uploaderId)) {
    scope: outcomes[index]
    name: guid(account.id, name, uploaderId)
    properties: {
      principalId: uploaderId
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataReader)
    }
    dependsOn: [blobContainers]
  }
]

output name string = account.name
output packageContainer string = packageContainer
output topicName string = topic.name
