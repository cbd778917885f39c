// The rights of the app and the switch on one existing Azure OpenAI account, which is in this resource group.
param accountName string
param accountHash string
param token string
param appPrincipalId string
param switchPrincipalId string

// Azure's id of the role Cognitive Services OpenAI User.
var openAiUser = '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'
var here = resourceGroup().id

resource account 'Microsoft.CognitiveServices/accounts@2024-10-01' existing = {
  name: accountName
}

resource hostingRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(account.id, token, 'hosting')
  properties: {
    roleName: 'Lamplighter hosting (${accountName}, ${accountHash}, ${token})' // unique in the tenant
    description: 'Create and delete deployments of Azure OpenAI models.'
    type: 'CustomRole'
    permissions: [
      {
        actions: [
          'Microsoft.CognitiveServices/accounts/read'
          'Microsoft.CognitiveServices/accounts/deployments/read'
          'Microsoft.CognitiveServices/accounts/deployments/write'
          'Microsoft.CognitiveServices/accounts/deployments/delete'
        ]
      }
    ]
    assignableScopes: [here]
  }
}

resource switchRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(account.id, token, 'switch')
  properties: {
    roleName: 'Lamplighter switch (${accountName}, ${accountHash}, ${token})'
    description: 'Delete deployments of Azure OpenAI models that are past their time.'
    type: 'CustomRole'
    permissions: [
      {
        actions: [
          'Microsoft.CognitiveServices/accounts/deployments/read'
          'Microsoft.CognitiveServices/accounts/deployments/delete'
        ]
      }
    ]
    assignableScopes: [here]
  }
}

resource appHosts 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, appPrincipalId, 'hosting')
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: hostingRole.id
  }
}

resource appAsks 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, appPrincipalId, openAiUser)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', openAiUser)
  }
}

resource switchDeletes 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, switchPrincipalId, 'switch')
  properties: {
    principalId: switchPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: switchRole.id
  }
}
