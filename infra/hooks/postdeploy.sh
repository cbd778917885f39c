#!/bin/sh
# After azd deploy: subscribe the app to the uploads. Safe to repeat. Needs the Azure CLI, signed in (az login).
# The key that the subscription needs appears when the deployed code has started, hence the repetition.
set -u
tries=10
pause=30

for name in AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP LAMPLIGHTER_APP LAMPLIGHTER_TOPIC; do
  eval "value=\${$name:-}"
  if [ -z "$value" ]; then
    echo "postdeploy: $name is not set: run it through azd (azd deploy, or azd hooks run postdeploy)." >&2
    exit 2
  fi
done
if ! az account show --output none; then
  echo "postdeploy: install the Azure CLI, sign in (az login), then: azd hooks run postdeploy" >&2
  exit 2
fi

try=1
while [ "$try" -le "$tries" ]; do
  if answer=$(az deployment group create --name blob-events --output none --only-show-errors \
    --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" \
    --template-file "$(dirname "$0")/../blob-events.bicep" \
    --parameters "appName=$LAMPLIGHTER_APP" "topicName=$LAMPLIGHTER_TOPIC" 2>&1); then
    echo "postdeploy: $LAMPLIGHTER_APP receives upload events."
    exit 0
  fi
  echo "postdeploy: not yet (try $try of $tries)." >&2
  [ "$try" -lt "$tries" ] && sleep "$pause"
  try=$((try + 1))
done
echo "$answer" >&2
echo "postdeploy: the app receives no upload events; its sweep finds uploads about a minute later." >&2
echo "After correcting the cause: azd hooks run postdeploy" >&2
exit 1
