// The last resort: deletes deployments with our tag that are past their delete-after, whether or not the app
// is alive. The rule itself is in switch.definition.json; it reads one page of an account's deployments, which
// is all there are (an account takes a few dozen).
param location string
param tags object
param token string
param installation string
param accountIds array

// Without the slash that it may end in.
var url = environment().resourceManager
var resourceManager = endsWith(url, '/') ? substring(url, 0, length(url) - 1) : url

resource switch 'Microsoft.Logic/workflows@2019-05-01' = {
  name: 'logic-${token}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('switch.definition.json')
    parameters: {
      installation: { value: installation }
      accounts: { value: accountIds }
      resourceManager: { value: resourceManager }
    }
  }
}

output id string = switch.id
output principalId string = switch.identity.principalId
