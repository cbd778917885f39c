"""The private network: absent by default; with vnetEnabled, storage is reachable only from inside it."""

from __future__ import annotations

import ipaddress

import pytest

from tests.infra.bicep import Deployed, Later, evaluate

SERVICES = ("blob", "queue", "table")
NETWORK = "Microsoft.Network"


@pytest.fixture(scope="module")
def private(parameters: dict[str, object]) -> Deployed:
    """Return what is declared with vnetEnabled."""
    return evaluate("main.bicep", {**parameters, "vnetEnabled": True})


def test_there_is_no_network_by_default(deployed: Deployed) -> None:
    """By default there is no network, which would cost money each hour, and storage is public."""
    assert [each.type for each in deployed.resources.values() if each.type.startswith(NETWORK)] == []
    (app,) = deployed.of_type("Microsoft.Web/sites")
    (account,) = deployed.of_type("Microsoft.Storage/storageAccounts")
    assert app.properties["virtualNetworkSubnetId"] is None
    assert account.properties["publicNetworkAccess"] == "Enabled"
    assert account.properties["networkAcls"]["defaultAction"] == "Allow"


def test_storage_is_closed_except_to_azure_services(private: Deployed) -> None:
    """Azure's own services keep access: the rule that deletes old documents needs it."""
    (account,) = private.of_type("Microsoft.Storage/storageAccounts")
    assert account.properties["publicNetworkAccess"] == "Disabled"
    assert account.properties["networkAcls"] == {"bypass": "AzureServices", "defaultAction": "Deny"}


def test_each_service_has_an_endpoint_and_its_name_resolves_to_it(private: Deployed) -> None:
    """Each service has an endpoint in the network, a DNS zone, the zone's link, and the endpoint's entry."""
    endpoints = private.of_type(f"{NETWORK}/privateEndpoints")
    connections = [
        endpoint.properties["privateLinkServiceConnections"][0]["properties"] for endpoint in endpoints
    ]
    assert [connection["groupIds"] for connection in connections] == [[service] for service in SERVICES]
    assert {connection["privateLinkServiceId"] for connection in connections} == {"network.storage.id"}
    zones = private.of_type(f"{NETWORK}/privateDnsZones")
    assert [zone.body["name"] for zone in zones] == [
        f"privatelink.{service}.core.windows.net" for service in SERVICES
    ]
    assert {zone.body["location"] for zone in zones} == {"global"}
    links = private.of_type(f"{NETWORK}/privateDnsZones/virtualNetworkLinks")
    entries = private.of_type(f"{NETWORK}/privateEndpoints/privateDnsZoneGroups")
    for index, (link, entry) in enumerate(zip(links, entries, strict=True)):
        assert link.body["parent"] == f"network.zones[{index}]"
        assert link.properties["virtualNetwork"] == {"id": "network.network.id"}
        assert entry.body["parent"] == f"network.endpoints[{index}]"
        (config,) = entry.properties["privateDnsZoneConfigs"]
        assert config["properties"] == {"privateDnsZoneId": f"network.zones[{index}].id"}
    assert len(links) == len(SERVICES)


def test_the_app_uses_its_own_subnet(private: Deployed) -> None:
    """It is delegated as Flex Consumption requires; the endpoints use the other subnet; none overlap."""
    (network,) = private.of_type(f"{NETWORK}/virtualNetworks")
    of_app, of_endpoints = network.properties["subnets"]
    (app,) = private.of_type("Microsoft.Web/sites")
    assert app.properties["virtualNetworkSubnetId"] == f"network.network.id/subnets/{of_app['name']}"
    (delegation,) = of_app["properties"]["delegations"]
    assert delegation["properties"] == {"serviceName": "Microsoft.App/environments"}
    assert "_" not in of_app["name"]  # Flex Consumption refuses it
    assert "delegations" not in of_endpoints["properties"]
    for endpoint in private.of_type(f"{NETWORK}/privateEndpoints"):
        assert endpoint.properties["subnet"] == {
            "id": Later(f"network.network.id/subnets/{of_endpoints['name']}")
        }
    (whole,) = network.properties["addressSpace"]["addressPrefixes"]
    ranges = [ipaddress.ip_network(each["properties"]["addressPrefix"]) for each in (of_app, of_endpoints)]
    assert not ranges[0].overlaps(ranges[1])
    assert all(each.subnet_of(ipaddress.ip_network(whole)) for each in ranges)  # type: ignore[arg-type]
