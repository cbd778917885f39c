"""Define the protocols that adapters implement. Every method states whether it is safe to repeat.

The in-memory fakes of the tests and the real adapters pass the same contract suite (`tests/contract`).
Import all names from this package, not from its files.
"""

from shared.ports.blobs import BlobItem as BlobItem
from shared.ports.blobs import BlobPage as BlobPage
from shared.ports.blobs import Blobs as Blobs
from shared.ports.clock import Clock as Clock
from shared.ports.providers import Catalogue as Catalogue
from shared.ports.providers import Offer as Offer
from shared.ports.providers import Provider as Provider
from shared.ports.providers import Quota as Quota
from shared.ports.services import Backlog as Backlog
from shared.ports.services import Model as Model
from shared.ports.services import Sender as Sender
from shared.ports.sources import AnsweredRow as AnsweredRow
from shared.ports.sources import Connections as Connections
from shared.ports.sources import Folder as Folder
from shared.ports.sources import RowPage as RowPage
from shared.ports.sources import Rows as Rows
from shared.ports.sources import SourceFact as SourceFact
from shared.ports.sources import SourceRow as SourceRow
from shared.ports.tables import Insert as Insert
from shared.ports.tables import Keys as Keys
from shared.ports.tables import Page as Page
from shared.ports.tables import Remove as Remove
from shared.ports.tables import Replace as Replace
from shared.ports.tables import Row as Row
from shared.ports.tables import Tables as Tables
from shared.ports.tables import Value as Value
