from tracejit import script

script(3)
