import Adaptation
import Testing
