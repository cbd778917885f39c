// The last resort: a logic app that deletes our tagged deployments after their delete-after time, even if the app
// is dead. Its rule is in switch.definition.json. It reads one page of an account's deployments, which holds all of
// them (an account has a few dozen at most).
param location string
param tags object
param token string
param installation string
param accountIds array

// Without the slash at its end, if it has one.
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
