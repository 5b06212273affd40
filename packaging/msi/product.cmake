# What Windows Installer is told about the product, whoever makes the MSI: wixl.cmake, or CPack's WIX generator on Windows
# (windows.cmake). Names become GUIDs by SHA-1 (RFC 4122, version 5): what is the same has the same GUID in every build.
set(_viaduct_urls 6ba7b811-9dad-11d1-80b4-00c04fd430c8) # the name space of URLs
set(_viaduct_base https://example.org/viaduct/msi)      # never to change

function(viaduct_msi_guid out name)
	string(UUID guid NAMESPACE ${_viaduct_urls} NAME ${_viaduct_base}/x64/${name} TYPE SHA1 UPPER)
	set(${out} ${guid} PARENT_SCOPE)
endfunction()

# viaduct_msi_product(<version> <abi> ROOT <id of the directory that all is in> DAEMON <id of the file viaductd.exe>
#                     PROGRAMS <id of the feature it belongs to> [REMOVE_LOG <element for the log's component>])
# Sets VIADUCT_UPGRADE_CODE: the same for all versions, so that one replaces another. VIADUCT_PRODUCT_CODE: one per version.
# And texts for a description of the product:
#   VIADUCT_XML_PRODUCT   what is done besides copying; where the product was installed before
#   VIADUCT_XML_DATA      the directories below %ProgramData%, in the directory TARGETDIR
#   VIADUCT_XML_CORE      of the component of viaduct.dll: what other programs find it by
#   VIADUCT_XML_SERVICE   of the component of viaductd.exe: the entry that its --install-service makes as well
macro(viaduct_msi_product version abi)
	cmake_parse_arguments(A "" "ROOT;DAEMON;PROGRAMS;REMOVE_LOG" "" ${ARGN})
	viaduct_msi_guid(VIADUCT_UPGRADE_CODE upgrade)
	viaduct_msi_guid(VIADUCT_PRODUCT_CODE product/${version})
	viaduct_msi_guid(_data component/data)
	viaduct_msi_guid(_log component/log)
	set(A_VERSION ${version})
	set(A_ABI ${abi})

	# PrepareService, after InstallServices (5800): what the tables cannot say, such as access lists of directories that are
	# there already, and restarts after a crash. SetLogToRemove, before the costs are counted: the log goes with the
	# product, and stays when another version takes over. By number: wixl places the words After and Before by chance.
	string(CONFIGURE [[
    <Property Id="@A_ROOT@"><RegistrySearch Id="search.root" Root="HKLM" Key="Software\Viaduct" Name="InstallDir" Type="raw" Win64="yes"/></Property>
    <CustomAction Id="PrepareService" FileKey="@A_DAEMON@" ExeCommand="--prepare-service" Execute="deferred" Impersonate="no" Return="check"/>
    <CustomAction Id="SetLogToRemove" Property="LOG_TO_REMOVE" Value="[CommonAppDataFolder]viaduct\log\"/>
    <InstallExecuteSequence>
      <Custom Action="SetLogToRemove" Sequence="790">REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE</Custom>
      <Custom Action="PrepareService" Sequence="5801">&amp;@A_PROGRAMS@=3</Custom>
    </InstallExecuteSequence>]] VIADUCT_XML_PRODUCT @ONLY)

	string(CONFIGURE [[
      <Directory Id="CommonAppDataFolder">
        <Directory Id="dir.data" Name="viaduct">
          <Component Id="comp.data" Guid="{@_data@}" Win64="yes"><CreateFolder/></Component>
          <Directory Id="dir.log" Name="log">
            <Component Id="comp.log" Guid="{@_log@}" Win64="yes"><CreateFolder/>@A_REMOVE_LOG@</Component>
          </Directory>
        </Directory>
      </Directory>]] VIADUCT_XML_DATA @ONLY)

	string(CONFIGURE [[
      <RegistryValue Root="HKLM" Key="Software\Viaduct" Name="InstallDir" Type="string" Value="[@A_ROOT@]"/>
      <RegistryValue Root="HKLM" Key="Software\Viaduct" Name="Version" Type="string" Value="@A_VERSION@"/>
      <RegistryValue Root="HKLM" Key="Software\Viaduct" Name="Abi" Type="integer" Value="@A_ABI@"/>]]
		VIADUCT_XML_CORE @ONLY)

	set(VIADUCT_XML_SERVICE [[
      <ServiceInstall Id="service" Name="viaductd" DisplayName="viaductd" Type="ownProcess" Start="auto" ErrorControl="normal" Account="NT AUTHORITY\LocalService" Arguments="&quot;--service&quot; &quot;--log&quot; &quot;[CommonAppDataFolder]viaduct\log\viaductd.log&quot;" Vital="yes"/>
      <ServiceControl Id="service" Name="viaductd" Start="install" Stop="both" Remove="uninstall" Wait="yes"/>]])
endmacro()
