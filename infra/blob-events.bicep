// The subscription that sends upload events to the app. The postdeploy hook deploys it: the key that it needs
// exists only after the deployed code has started. Azure itself reads the key, so it is never displayed.
param appName string
param topicName string

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: appName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

var webhook = 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs'
var functionName = 'Host.Functions.document_uploaded'
var key = listKeys('${app.id}/host/default', '2024-04-01').systemKeys.blobs_extension

resource uploads 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'uploads'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: { endpointUrl: '${webhook}?functionName=${functionName}&code=${key}' }
    }
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      subjectBeginsWith: '/blobServices/default/containers/inbox/blobs/'
    }
  }
}
