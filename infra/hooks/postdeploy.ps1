# After azd deploy: subscribe the app to the uploads. Safe to repeat. Needs the Azure CLI, signed in (az login).
# The key that the subscription needs appears when the deployed code has started, hence the repetition.
$tries = 10
$pause = 30

foreach ($name in 'AZURE_SUBSCRIPTION_ID', 'AZURE_RESOURCE_GROUP', 'LAMPLIGHTER_APP', 'LAMPLIGHTER_TOPIC') {
  if (-not [Environment]::GetEnvironmentVariable($name)) {
    Write-Host "postdeploy: $name is not set: run it through azd (azd deploy, or azd hooks run postdeploy)."
    exit 2
  }
}
$signedIn = $false
if (Get-Command az -ErrorAction SilentlyContinue) {
  az account show --output none
  $signedIn = $LASTEXITCODE -eq 0
}
if (-not $signedIn) {
  Write-Host "postdeploy: install the Azure CLI, sign in (az login), then: azd hooks run postdeploy"
  exit 2
}

for ($try = 1; $try -le $tries; $try++) {
  $answer = az deployment group create --name blob-events --output none --only-show-errors `
    --subscription $env:AZURE_SUBSCRIPTION_ID --resource-group $env:AZURE_RESOURCE_GROUP `
    --template-file "$PSScriptRoot/../blob-events.bicep" `
    --parameters "appName=$env:LAMPLIGHTER_APP" "topicName=$env:LAMPLIGHTER_TOPIC" 2>&1
  if ($LASTEXITCODE -eq 0) {
    Write-Host "postdeploy: $env:LAMPLIGHTER_APP receives upload events."
    exit 0
  }
  Write-Host "postdeploy: not yet (try $try of $tries)."
  if ($try -lt $tries) { Start-Sleep -Seconds $pause }
}
Write-Host ($answer | Out-String)
Write-Host "postdeploy: the app receives no upload events; its sweep finds uploads about a minute later."
Write-Host "After correcting the cause: azd hooks run postdeploy"
exit 1
